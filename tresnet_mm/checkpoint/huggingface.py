"""``hf://USER/REPO[@REVISION][/FILE]``: the weights file of any repository on the Hugging Face hub.

All of it goes through huggingface_hub, so that ``HF_HOME``, ``HF_ENDPOINT``, ``HF_HUB_OFFLINE``,
its cache and its tokens apply, and processes that ask at the same time download once.
"""

import re
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import unquote

HF_SCHEME = 'hf://'
#: The hub's own names for a repository's weights: where both are there, they hold the same.
_USUAL = ('model.safetensors', 'pytorch_model.bin')
_SUFFIXES = ('.safetensors', '.pth', '.pt', '.bin', '.ckpt')
#: Seconds that the hub has for its answer.
_TIMEOUT = 10
_FORM = re.compile(r'hf://(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[^/@]+))?(?:/(?P<file>[^@]+))?'
                   r'(?:@(?P<at_end>[^@]+))?')


class HubFile(NamedTuple):
    """What an ``hf://`` name says."""

    repo: str
    file: str | None
    """Path in the repository; None where the name leaves it out."""
    revision: str | None
    """Branch, tag or commit; None is the main branch."""


def parse(url: str) -> HubFile:
    """Take an ``hf://`` name apart; the revision may stand behind the repository or at the end.

    Raises:
        ValueError: If it has another form.
    """
    match = _FORM.fullmatch(url)
    parts = PurePosixPath(match['file'] or '').parts if match else ()
    if not match or (match['revision'] and match['at_end']) or '..' in parts or '/' in parts:
        raise ValueError(f'{url!r} is not of the form hf://USER/REPO[/FILE], with @REVISION behind '
                         'REPO where another than the main branch is meant')
    revision = match['revision'] or match['at_end']
    return HubFile(match['repo'], match['file'], revision and unquote(revision))


def fetch_from_hub(url: str) -> Path:
    """The local file of an ``hf://`` name, from the cache or downloaded now.

    Raises:
        ValueError: If the name has another form, or names no file where the repository has none
            or several weights files.
        FileNotFoundError: If it cannot be had: no such repository, revision or file, no right to
            read it, or no connection and not in the cache; the message says which.
    """
    repo, file, revision = parse(url)
    file = file or _weights_file(url, _names(url, repo, revision))
    from huggingface_hub import hf_hub_download
    try:
        return Path(hf_hub_download(repo, file, revision=revision))
    except Exception as error:  # the library's and its HTTP client's: they differ by version
        raise _in_words(error, url) from error


def _weights_file(url: str, names: list[str]) -> str:
    """The one weights file among the names of a repository's files."""
    found = [name for name in names if PurePosixPath(name).suffix in _SUFFIXES]
    if len(found) > 1 and set(found) == set(_USUAL):
        found = [_USUAL[0]]
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(f'{url} has several weights files: append one of '
                         + ', '.join(f'/{name}' for name in found))
    raise ValueError(f'{url} has no weights file ({", ".join(_SUFFIXES)}); it holds '
                     + (', '.join(names[:20]) or 'nothing'))


def _names(url: str, repo: str, revision: str | None) -> list[str]:
    """The names of a repository's files; without a connection, of those in the cache."""
    from huggingface_hub import errors, model_info
    try:  # one request; the listing of a tree would try for half a minute where there is no network
        info = model_info(repo, revision=revision, timeout=_TIMEOUT)
        return sorted(file.rfilename for file in info.siblings or ())
    except Exception as error:
        told = (errors.RepositoryNotFoundError, errors.RevisionNotFoundError)
        cached = [] if isinstance(error, told) else _cached_names(repo, revision)
        if not cached:
            raise _in_words(error, url) from error
        return cached


def _cached_names(repo: str, revision: str | None) -> list[str]:
    from huggingface_hub import constants, scan_cache_dir
    if not Path(constants.HF_HUB_CACHE).is_dir():
        return []
    wanted = revision or 'main'
    return sorted(file.file_path.relative_to(found.snapshot_path).as_posix()
                  for entry in scan_cache_dir(constants.HF_HUB_CACHE).repos
                  if (entry.repo_id, entry.repo_type) == (repo, 'model')
                  for found in entry.revisions if wanted in (found.commit_hash, *found.refs)
                  for file in found.files)


def _in_words(error: Exception, url: str) -> Exception:
    """What to raise for an error of huggingface_hub's."""
    from huggingface_hub import constants, errors
    repo, file, revision = parse(url)
    page = f'{constants.ENDPOINT}/{repo}'
    log_in = '`hf auth login`, or the variable HF_TOKEN'
    if isinstance(error, errors.HFValidationError):
        return ValueError(f'{url}: {error}')
    if isinstance(error, errors.GatedRepoError):
        words = f'the repository is gated: accept its conditions at {page} and log in ({log_in})'
    elif isinstance(error, errors.RepositoryNotFoundError):
        words = f'there is no repository {page}, or it is private and you have to log in ({log_in})'
    elif isinstance(error, errors.RevisionNotFoundError):
        words = f'the repository {page} has no revision {revision!r}'
    elif isinstance(error, errors.RemoteEntryNotFoundError):
        words = f'the repository {page} has no file {file!r} in revision {revision or "main"!r}'
    else:
        offline = ' (HF_HUB_OFFLINE is set)' if constants.HF_HUB_OFFLINE else ''
        cause = type(error.__cause__ or error).__name__
        words = (f'it is not in the cache {constants.HF_HUB_CACHE} and could not be downloaded '
                 f'from {constants.ENDPOINT}{offline}: {cause}')
    return FileNotFoundError(f'{url}: {words}')
