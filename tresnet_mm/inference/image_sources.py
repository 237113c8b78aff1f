"""From what is given for images to a list of single ones."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlparse

import numpy as np
from PIL import Image

#: What is taken for images in a folder, in any case.
IMAGE_SUFFIXES = ('.avif', '.bmp', '.gif', '.jp2', '.jpeg', '.jpg', '.pgm', '.png', '.ppm', '.tif',
                  '.tiff', '.webp')
WEB = ('http://', 'https://')


@dataclass(frozen=True)
class ImageSource:
    """One image that is asked for.

    Attributes:
        value: A path, a URL, pixels uint8 (H, W, 3) in BGR, or a Pillow image.
        index: Its number among all that are asked for, from 0.
    """

    value: str | np.ndarray | Image.Image
    index: int

    @property
    def path(self) -> str | None:
        """The path or URL; None for pixels."""
        return self.value if isinstance(self.value, str) else None

    @property
    def name(self) -> str:
        """What messages call it."""
        return f'images[{self.index}]' if self.path is None else repr(self.path)

    @property
    def stem(self) -> str:
        """A name for files that are about it, without suffix; others may have the same."""
        if self.path is None:
            return f'{self.index:08}'
        if self.path.startswith(WEB):
            return PurePosixPath(unquote(urlparse(self.path).path)).stem
        return os.path.splitext(os.path.basename(self.path))[0]


def list_images(images: Any, missing_ok: bool = False) -> list[ImageSource]:
    """All images that are asked for, in order; a folder's and a pattern's sorted by name.

    Args:
        images: A path, folder, pattern such as ``photos/**/*.jpg``, URL, array or Pillow image, or
            a list of any of these. A folder stands for the images right in it, those by their
            suffix, without hidden ones.
        missing_ok: Leave it to the reading of a file to find that it does not exist.

    Raises:
        FileNotFoundError: A file does not exist, a folder has no image, or nothing fits a pattern.
        TypeError: It is nothing of these.
        ValueError: There is no image, or an array has another shape or type.
    """
    items = images if isinstance(images, (list, tuple)) else [images]
    values = [value for place, item in enumerate(items)
              for value in _expand(item, f'images[{place}]', missing_ok)]
    if not values:
        raise ValueError('no image is given: the list is empty')
    return [ImageSource(value, index) for index, value in enumerate(values)]


def _expand(item: Any, where: str, missing_ok: bool) -> Sequence[str | np.ndarray | Image.Image]:
    if isinstance(item, Image.Image):
        return [item]
    if isinstance(item, np.ndarray):
        if item.dtype != np.uint8 or item.ndim != 3 or item.shape[2] != 3 or not item.size:
            raise ValueError(f'{where} should be pixels uint8 (height, width, 3) in BGR, got '
                             f'{item.dtype} {item.shape}')
        return [item]
    if not isinstance(item, (str, os.PathLike)):
        raise TypeError(f'{where} should be a path, a URL, a NumPy array or a Pillow image, got '
                        f'{type(item).__name__}')
    path = os.fsdecode(item)
    if '://' in path or os.path.isfile(path):
        return [path]
    if os.path.isdir(path):
        return _images_in(path)
    if glob.has_magic(path) and not os.path.lexists(path):
        found = sorted(filter(os.path.isfile, glob.iglob(path, recursive=True)))
        if not found:
            raise FileNotFoundError(f'no file fits the pattern {path!r}')
        return found
    if not missing_ok and not os.path.lexists(path):
        raise FileNotFoundError(f'image {path!r} does not exist')
    return [path]


def _images_in(folder: str) -> list[str]:
    found = sorted(os.path.join(folder, name) for name in _file_names(folder)
                   if name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith('.'))
    if not found:
        raise FileNotFoundError(f'the folder {folder!r} has no image: no file that ends with '
                                f'{", ".join(IMAGE_SUFFIXES)}')
    return found


def _file_names(folder: str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        yield from (entry.name for entry in entries if entry.is_file())
