"""Text and JSON files from strangers: ordinary files, UTF-8, one error that names the file."""
from __future__ import annotations

import codecs
import gc
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TextIO

from mmengine.fileio import get, get_local_path

_KINDS = {
    stat.S_IFDIR: 'a folder',
    stat.S_IFIFO: 'a named pipe',
    stat.S_IFCHR: 'a device',
    stat.S_IFBLK: 'a device',
    stat.S_IFSOCK: 'a socket',
}


def is_local(path: str, backend_args: Mapping | None = None) -> bool:
    """Whether mmengine reads ``path`` from this machine's own file system."""
    backend = (backend_args or {}).get('backend', 'local')
    return backend in ('local', 'disk') and '://' not in str(path)


def check_regular_file(path: str) -> int:
    """See that a local path is an ordinary file, without opening it.

    A device or a named pipe is never opened: reading one fills the memory or waits for ever.

    Returns:
        Its size in bytes.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is something else than a file, or the name cannot be one.
    """
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f'{str(path)!r} does not exist') from None
    except (OSError, ValueError) as error:  # a NUL, too long a name, a link to itself, no right
        reason = error.strerror if isinstance(error, OSError) else error
        shown = path if len(str(path)) < 200 else f'{str(path)[:200]}...'
        raise ValueError(f'{shown!r} cannot be opened: {reason}') from None
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), 'something else')
        raise ValueError(f'{str(path)!r} is {kind}, no ordinary file')
    return status.st_size


def read_text(path: str, backend_args: Mapping | None = None) -> str:
    """Read a UTF-8 file, with or without a byte order mark; line ends stay as they are.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no ordinary file, not UTF-8, or holds a NUL.
    """
    if is_local(path, backend_args):
        check_regular_file(path)
    data = bytes(get(path, backend_args=backend_args))
    try:
        text = data.decode('utf-8-sig')
    except UnicodeDecodeError as error:
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            found = 'it is UTF-16'
        else:
            line = data.count(b'\n', 0, error.start) + 1
            found = f'byte 0x{data[error.start]:02x} in line {line}'
        raise ValueError(f'{path}: not UTF-8 text ({found}): save it as UTF-8') from None
    if '\0' in text:
        line = text.count('\n', 0, text.index('\0')) + 1
        raise ValueError(f'{path}:{line}: a NUL character: no text, or UTF-16; save it as UTF-8')
    return text


@contextmanager
def open_text(path: str, backend_args: Mapping | None = None) -> Iterator[TextIO]:
    """Open a UTF-8 file that is too large to be read whole; line ends stay as they are.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no ordinary file, or what is read of it is not UTF-8.
    """
    if is_local(path, backend_args):
        check_regular_file(path)
    try:
        with get_local_path(path, backend_args=backend_args) as local, \
                open(local, encoding='utf-8-sig', newline='') as file:
            yield file
    except UnicodeDecodeError as error:
        raise ValueError(f'{path}: not UTF-8 text ({error.reason}): save it as UTF-8') from None


@contextmanager
def without_collection() -> Iterator[None]:
    """Hold Python's garbage collection, which looks at every object again while millions are made.

    For a file of COCO's size that is a third of the time; lists and dicts of JSON form no circles.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def parse_json(text: str, path: str) -> Any:
    """Parse the text of a JSON file.

    Raises:
        ValueError: It is no JSON, or nested too deeply; the message names ``path``.
    """
    try:
        with without_collection():
            return json.loads(text)
    except RecursionError:
        raise ValueError(f'{path}: not a usable JSON file: it is nested too deeply') from None
    except ValueError as error:  # also for a number of more digits than Python reads
        raise ValueError(f'{path}: not a JSON file: {error}') from None
