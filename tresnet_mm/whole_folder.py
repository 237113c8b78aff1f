"""Folders that are there whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_folder(path: str | Path) -> Iterator[Path]:
    """A temporary folder beside ``path`` that takes its name when the block ends without an error.

    What a killed process left of an earlier attempt is removed; two at once on one ``path`` are
    not foreseen.

    Args:
        path: Where the folder is to be; what it lies in is made.

    Raises:
        FileExistsError: ``path`` is a file, or a folder that holds something.
        OSError: It cannot be written, or the disk is full.
    """
    path = Path(path)
    refuse_what_is_there(path)
    path = path.resolve()  # '.' and 'a/..' have no name to put a dot before
    # One name a target: what a killed process left is replaced by the next attempt.
    part = path.with_name(f'.{path.name}.part')
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        if path.is_dir():
            path.rmdir()  # empty: Windows renames onto nothing
        os.replace(part, path)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def refuse_what_is_there(path: Path) -> None:
    """Raise FileExistsError unless ``path`` is free: absent, or an empty folder."""
    if path.is_dir():
        if any(path.iterdir()):
            raise FileExistsError(f'{path} holds files already: name a folder that is new or '
                                  'empty, or remove it first')
    elif path.exists() or path.is_symlink():
        raise FileExistsError(f'{path} is no folder: name one that is new or empty')
