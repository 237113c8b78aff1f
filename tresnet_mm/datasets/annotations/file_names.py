"""Names of image files in annotation files: inside the image folder, unless that is allowed."""
from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from .text_file import is_local

_DRIVE = re.compile(r'^[A-Za-z]:[\\/]')
_LONGEST = 1024


class ImageFolder:
    """The folder that file names of an annotation file are relative to.

    A name that leaves the folder (``..``, an absolute path, a link to elsewhere) would let a file
    from a stranger name any file of this machine, so it is an error unless it is allowed. The
    folder itself may be a link, or lie behind one. Names on other backends are passed through.

    Backslashes, as Windows writes them, become slashes, unless a file of the literal name exists.

    Args:
        folder: The folder, as ``data_prefix`` and ``data_root`` give it; '' where none is known:
            then names are relative to the working directory, and may lie anywhere.
        allow_outside: Whether names may leave the folder.
        backend_args: Arguments of mmengine's file backend, as of the loader.
    """

    def __init__(self, folder: str, allow_outside: bool = False,
                 backend_args: Mapping | None = None) -> None:
        self.folder = str(folder or '')
        self.local = is_local(self.folder, backend_args)
        self.confined = bool(self.folder) and not allow_outside and self.local
        self._links: dict[str, frozenset[str] | None] = {}

    def path(self, name: str, where: str) -> str:
        """The path of an image.

        Args:
            name: As the annotation file has it.
            where: The file and the entry, for messages.

        Raises:
            ValueError: The name cannot be that of a file, or leaves the folder.
        """
        fault = self._impossible(name)
        if fault:
            shown = name if not isinstance(name, str) or len(name) <= 100 else f'{name[:100]}...'
            raise ValueError(f'{where}: file name {shown!r} {fault}')
        if not self.local:
            return f'{self.folder.rstrip("/")}/{name}' if self.folder else name
        if '\\' in name and not os.path.exists(os.path.join(self.folder, name)):
            name = name.replace('\\', '/')
        fault = self._leaves(name) if self.confined else ''
        if fault:
            raise ValueError(f'{where}: file name {name!r} {fault} {self.folder!r}: allow it with '
                             'allow_outside=True of the dataset if you trust the file')
        return os.path.join(self.folder, name)

    def _impossible(self, name: Any) -> str:
        if not isinstance(name, str):
            return 'should be text'
        if not name.strip():
            return 'is empty'
        if '\0' in name:
            return 'holds a NUL character'
        if len(name) > _LONGEST:
            return f'is {len(name)} characters long, at most {_LONGEST} are possible'
        if os.path.basename(name) in ('', '.', '..'):
            return 'is that of a folder'
        if self.local and '://' in name:
            return ('is an address: set backend_args for it, or give the path of a file (the image '
                    'folder is a local one)')
        return ''

    def _leaves(self, name: str) -> str:
        if os.path.isabs(name) or _DRIVE.match(name):
            return 'is absolute, so it leaves the image folder'
        parts = name.split('/')
        if '..' in parts:
            return 'leaves the image folder'
        parent, leaf = os.path.split(os.path.join(self.folder, name))
        if parent not in self._links:
            self._links[parent] = self._outward_links(parent)
        links = self._links[parent]
        if links is None or leaf in links:
            return 'is a link that leaves the image folder'
        return ''

    def _outward_links(self, parent: str) -> frozenset[str] | None:
        """Names in a folder that are links to outside; None if the folder itself lies outside.

        One listing of a folder, since asking for every file of it takes seconds for a large set.
        """
        root = os.path.realpath(self.folder)
        if not _inside(os.path.realpath(parent), root):
            return None
        try:
            with os.scandir(parent) as entries:
                links = [entry for entry in entries if entry.is_symlink()]
        except OSError:  # no such folder: the loader says so
            return frozenset()
        return frozenset(entry.name for entry in links
                         if not _inside(os.path.realpath(entry.path), root))


def _inside(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip(os.sep) + os.sep)
