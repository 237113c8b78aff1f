"""The files below a source's folder, and the part of a split that a name stands for."""
from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from ..datasets.annotations import ImageFolder

IMAGE_SUFFIXES = ('.avif', '.bmp', '.gif', '.jpeg', '.jpg', '.jp2', '.png', '.ppm', '.tga', '.tif',
                  '.tiff', '.webp')
_PARTS = {
    'train': 'train', 'training': 'train',
    'val': 'val', 'valid': 'val', 'validation': 'val',
    'test': 'test', 'testing': 'test',
}


def part_of(name: str) -> str | None:
    """The part that a word of a file's or folder's name says: 'train', 'val', 'test' or None.

    ``instances_train2017`` is of train, ``trainval`` of none, nor is a name that says two.
    """
    words = re.split(r'[^a-z]+', name.lower())
    found = {_PARTS[word] for word in words if word in _PARTS}
    return found.pop() if len(found) == 1 else None


def part_folder(name: str) -> str | None:
    """The part that a folder of exactly this name holds."""
    return _PARTS.get(name.lower())


def is_image(path: Path) -> bool:
    """Whether a file's suffix, in any case, is that of an image."""
    return path.suffix.lower() in IMAGE_SUFFIXES


class SourceFiles:
    """The files below a folder, looked up once; neither hidden ones nor pipes and devices.

    Args:
        root: The folder; absolute.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: list[Path] = []
        for folder, folders, names in os.walk(root):
            folders[:] = sorted(name for name in folders if _visible(name))
            self.files += [Path(folder, name) for name in sorted(names)
                           if _visible(name) and Path(folder, name).is_file()]

    def of_suffix(self, *suffixes: str) -> list[Path]:
        """Files of these suffixes, in any case, in order."""
        return [file for file in self.files if file.suffix.lower() in suffixes]

    @cached_property
    def images(self) -> list[Path]:
        """Files whose suffix is that of an image."""
        return [file for file in self.files if is_image(file)]

    @cached_property
    def _by_name(self) -> dict[tuple[Path, str], list[Path]]:
        found = defaultdict(list)
        for image in self.images:
            found[image.parent, image.name.lower()].append(image)
            found[image.parent, image.stem.lower()].append(image)
        return found

    def find_image(self, names: Iterable[str], folders: Iterable[Path], where: str) -> Path:
        """The image of one of these names, tried in their order, in the first folder that has it.

        A name counts as it stands, then in any case, then with any suffix of an image.

        Raises:
            FileNotFoundError: There is none.
            ValueError: Two images fit one name, which both differ from it.
        """
        names, folders = list(names), list(folders)
        for name in names:
            for folder in folders:
                for wanted in (name.lower(), Path(name).stem.lower() if is_image(Path(name)) else
                               name.lower()):
                    found = self._by_name.get((folder, wanted), [])
                    exact = [image for image in found if image.name == name]
                    if len(found) > 1 and not exact:
                        shown = ' and '.join(image.name for image in found[:3])
                        raise ValueError(f'{where}: {shown} in {folder} both fit {name!r}: '
                                         'rename one of them, or name the image in full')
                    if found:
                        return (exact or found)[0]
        tried = ' or '.join(dict.fromkeys(map(repr, names)))
        raise FileNotFoundError(f'{where}: no image {tried} (any suffix of an image) in '
                                f'{", ".join(dict.fromkeys(map(str, folders)))}')


def path_inside(folder: Path, name: str, where: str) -> Path:
    """The path of a name that a file gives, which must not leave the folder.

    Raises:
        ValueError: It cannot be a file's name, or leaves the folder.
    """
    try:
        return Path(ImageFolder(str(folder)).path(name, where))
    except ValueError as error:
        raise ValueError(str(error).split(': allow it with')[0]) from None


def _visible(name: str) -> bool:
    return not name.startswith('.') and name != '__MACOSX'
