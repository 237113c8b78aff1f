"""The two forms that CIFAR is published in: fixed records, and Python's pickles."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..checkpoint.plain_data import read_plain_pickle
from .annotations import check_regular_file, read_text

SIDE = 32
PIXELS = 3 * SIDE * SIDE


@dataclass(frozen=True)
class BinaryFiles:
    """Files of records: bytes of labels, then the pixels."""

    names: str
    """The file of the classes' names, one a line."""
    train: tuple[str, ...]
    test: tuple[str, ...]
    label_bytes: int
    """Bytes before the pixels, of which the last is the class."""

    def read_names(self, root: Path) -> tuple[str, ...]:
        """The classes' names."""
        lines = read_text(str(root / self.names)).split('\n')
        return tuple(line.strip() for line in lines if line.strip())

    def read_images(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        """Labels (N,) and pixels (N, 3072) in planes of RGB, uint8.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It is not of whole records.
        """
        size, record = check_regular_file(str(path)), self.label_bytes + PIXELS
        if not size or size % record:
            raise ValueError(f'{str(path)!r} has {size} bytes, which is no multiple of the '
                             f'{record} of one image: it is damaged or another file')
        data = np.fromfile(path, np.uint8).reshape(-1, record)
        return data[:, self.label_bytes - 1], data[:, self.label_bytes:]


@dataclass(frozen=True)
class PythonFiles:
    """Pickled dicts of ``data`` (N, 3072) and lists of labels, which are read as data."""

    names: str
    """The file of the classes' names."""
    train: tuple[str, ...]
    test: tuple[str, ...]
    names_key: str
    labels_key: str

    def read_names(self, root: Path) -> tuple[str, ...]:
        """The classes' names; errors as of `read_images`."""
        (names,) = self._entries(root / self.names, self.names_key)
        if not isinstance(names, list) or not names:
            raise ValueError(f'{str(root / self.names)!r}: {self.names_key} is no list of names')
        return tuple(map(_text, names))

    def read_images(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        """Labels (N,) and pixels (N, 3072) in planes of RGB, uint8.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It is no such pickle, or asks for more than plain data.
        """
        pixels, labels = self._entries(path, 'data', self.labels_key)
        if (not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8
                or pixels.shape[1:] != (PIXELS,) or not len(pixels)):
            raise ValueError(f'{str(path)!r}: data is no uint8 array of (images, {PIXELS})')
        if not isinstance(labels, list) or len(labels) != len(pixels) or not all(
                type(label) is int and label >= 0 for label in labels):
            raise ValueError(f'{str(path)!r}: {self.labels_key} is no list of {len(pixels)} '
                             'classes, one for each image')
        return np.array(labels), pixels

    @staticmethod
    def _entries(path: Path, *keys: str) -> list[Any]:
        check_regular_file(str(path))
        content = read_plain_pickle(path)
        if not isinstance(content, dict):
            raise ValueError(f'{str(path)!r} holds a {type(content).__name__}, not a dict')
        content = {_text(key): value for key, value in content.items()}
        missing = [key for key in keys if key not in content]
        if missing:
            raise ValueError(f'{str(path)!r} has no {missing[0]!r}, but '
                             f'{", ".join(content)[:200] or "nothing"}: it is another file')
        return [content[key] for key in keys]


def _text(value: Any) -> str:
    """What Python 2 wrote as text, and others write as bytes."""
    return value.decode('latin1') if isinstance(value, bytes) else str(value)
