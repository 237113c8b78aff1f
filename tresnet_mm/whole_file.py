"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """A temporary file beside ``path`` that takes its name when the block ends without an error.

    What stood under the name stays until then, and for good if the block fails or the process is
    killed: a reader finds the old content or the new, never a part. The content is on the disk
    before the name changes, so that a machine that loses power keeps one of the two as well.

    Args:
        path: Where the file is to be; its folder is made.

    Raises:
        OSError: The folder cannot be written, or its disk is full; names ``path``.
    """
    path = Path(path)
    # One name a target: what a killed process left is written over by the next attempt.
    part = path.with_name(f'.{path.name}.part')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        with part.open('rb+') as file:
            os.fsync(file.fileno())
        os.replace(part, path)
        _sync_folder(path.parent)
    except BaseException as error:
        _discard(part)
        if isinstance(error, OSError):
            raise OSError(error.errno, f'{path} cannot be written: {error.strerror or error}'
                          ) from error
        raise


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write a file at once, with the errors of `whole_file`."""
    with whole_file(path) as part:
        part.write_bytes(content)


def write_text(path: str | Path, content: str, encoding: str = 'utf-8') -> None:
    """Write a text file at once, with the errors of `whole_file`."""
    write_bytes(path, content.encode(encoding))


def _sync_folder(folder: Path) -> None:
    """Have the new name on the disk too, where folders can be opened for that (not on Windows)."""
    if os.name != 'posix':
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # which some network file systems refuse
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _discard(part: Path) -> None:
    with suppress(OSError):  # a folder that cannot be written: there is no part either
        part.unlink(missing_ok=True)
