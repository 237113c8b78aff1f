"""Checkpoints from the web: whole or not at all, and the file that their name says.

`torch.hub.download_url_to_file` has neither time-outs nor further attempts.
"""

import hashlib
import http.client
import os
import re
import urllib.request
from pathlib import Path
from urllib.parse import urlparse

import torch
from mmengine.dist import barrier, get_rank

from ..file_backends import web_file

_CHUNK = 1 << 20
#: mm's and PyTorch's publishers end a name with the start of the file's SHA-256. Digits alone may
#: be a date.
_HASH = re.compile(r'-(?!\d+\.)([0-9a-f]{8,64})\.\w+$')


def cache_dir() -> Path:
    """Where downloads go and where files put by hand are found: PyTorch's hub cache."""
    return Path(torch.hub.get_dir()) / 'checkpoints'


def download(url: str) -> Path:
    """Download into PyTorch's hub cache, once for all processes of a machine.

    A file that is there already is taken. The first process of each machine downloads, the others
    wait for it.

    Raises:
        OSError: If it cannot be had in some attempts; the message names the URL.
        ValueError: If the file is not the one whose SHA-256 its name has, or has no name.
    """
    name = Path(urlparse(url).path).name
    if not name:
        raise ValueError(f'the URL {url} names no file')
    path = cache_dir() / name
    local_rank = int(os.environ.get('LOCAL_RANK', get_rank()))
    if local_rank == 0 and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            web_file.with_retries(url, lambda: _fetch(url, path))
        except (OSError, http.client.HTTPException) as error:
            raise OSError(f'cannot download the checkpoint {url}: {error}') from error
    barrier()
    return path


def _fetch(url: str, path: Path) -> None:
    """One attempt; the file gets its name when it is whole and is the right one."""
    part = path.with_name(f'.{path.name}.{os.getpid()}.part')
    digest, done = hashlib.sha256(), 0
    request = urllib.request.Request(url, headers={'User-Agent': 'tresnet_mm'})
    try:
        with urllib.request.urlopen(request, timeout=web_file.TIMEOUT) as answer, \
                part.open('wb') as file:
            length = answer.headers.get('Content-Length')
            while chunk := answer.read(_CHUNK):
                file.write(chunk)
                digest.update(chunk)
                done += len(chunk)
        if length is not None and done != int(length):
            raise OSError(f'the connection ended after {done} of {length} bytes')
        wanted = _HASH.search(path.name)
        if wanted and not digest.hexdigest().startswith(wanted[1]):
            raise ValueError(f'{url} is not the file that its name says: its SHA-256 starts with '
                             f'{digest.hexdigest()[:len(wanted[1])]}, not {wanted[1]}')
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
