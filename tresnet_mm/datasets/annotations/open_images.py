"""Image-level labels of Open Images, read row by row: the tables have tens of millions of rows."""
from __future__ import annotations

import csv
import math
import re
from array import array
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from .text_file import open_text

#: What an image's name is made of; nothing that could lead out of a folder.
_IMAGE_ID = re.compile(r'[0-9A-Za-z_-]{1,64}')
_COLUMNS = ('ImageID', 'LabelName', 'Confidence')
#: What an older list begins with its first class, a newer one with this.
_HEADER = 'LabelName'


class ImageLabels(NamedTuple):
    """The labels of many images in few arrays: N images, R labels, those of an image together.

    Attributes:
        images: (N,) names as bytes, in the order of the file.
        starts: (N + 1,) int64; image ``i`` has the labels ``starts[i]:starts[i + 1]``.
        labels: (R,) int32, class indices, rising in an image, each once.
        present: (R,) bool: present, or verified to be absent.
        conflicts: How many labels were left out since rows contradict each other.
    """

    images: np.ndarray
    starts: np.ndarray
    labels: np.ndarray
    present: np.ndarray
    conflicts: int

    def keep(self, chosen: np.ndarray) -> ImageLabels:
        """Those of the images that are chosen, bool (N,)."""
        counts = np.diff(self.starts)
        rows = np.repeat(chosen, counts)
        starts = np.concatenate([[0], np.cumsum(counts[chosen])])
        return ImageLabels(self.images[chosen], starts, self.labels[rows], self.present[rows],
                           self.conflicts)


def read_class_descriptions(path: str, backend_args: Mapping | None = None) -> dict[str, str]:
    """Read the names of the classes, ``/m/011k07,Tortoise`` a line, with or without a header.

    Two classes that share a name have their identifiers added to it.

    Returns:
        Name of each identifier, in the order of the file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: With file and line: a row of another form, or an identifier that stands twice.
    """
    names: dict[str, str] = {}
    for where, cells in _rows(path, backend_args):
        if cells[0] == _HEADER:
            continue
        if len(cells) != 2 or not all(cell.strip() for cell in cells):
            raise ValueError(f'{where}: expected an identifier and a name such as '
                             f'"/m/011k07,Tortoise", got {",".join(cells)[:100]!r}')
        if cells[0] in names:
            raise ValueError(f'{where}: class {cells[0]!r} is listed twice')
        names[cells[0]] = cells[1].strip()
    if not names:
        raise ValueError(f'{path}: lists no class')
    shared = _repeated(names.values())
    return {mid: f'{name} ({mid})' if name in shared else name for mid, name in names.items()}


def read_class_list(path: str, known: Mapping[str, str],
                    backend_args: Mapping | None = None) -> list[str]:
    """Read a list of classes, such as the trainable ones: an identifier a line.

    Args:
        path: The list.
        known: The classes of `read_class_descriptions`.
        backend_args: Arguments of mmengine's file backend.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: With file and line: no identifier of ``known``, or one that stands twice.
    """
    found: dict[str, None] = {}
    for where, cells in _rows(path, backend_args):
        mid = cells[0].strip()
        if mid == _HEADER:
            continue
        if mid not in known:
            raise ValueError(f'{where}: class {mid[:60]!r} has no description')
        if mid in found:
            raise ValueError(f'{where}: class {mid!r} is listed twice')
        found[mid] = None
    if not found:
        raise ValueError(f'{path}: lists no class')
    return list(found)


def read_image_labels(path: str, index: Mapping[str, int | None],
                      min_confidence: float | None = None, conflict: str = 'error',
                      backend_args: Mapping | None = None) -> ImageLabels:
    """Read a table of image-level labels, which need not be sorted.

    Args:
        path: A CSV with the columns ``ImageID``, ``LabelName`` and ``Confidence``.
        index: Class index of each identifier; None for one whose rows are passed over.
        min_confidence: Confidence from which on a label is present; one below it, and above 0, is
            passed over. None: confidences are 1 and 0, as people give them.
        conflict: What becomes of a label that some rows say is present and others is absent:
            'error', or 'unknown', to leave it out.
        backend_args: Arguments of mmengine's file backend.

    Returns:
        The labels of all images that have a row, also of those whose rows were all passed over.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: With file and line: no such columns, a row that lacks a cell, an image name
            that is none, an identifier that is not in ``index``, a wrong confidence, or a row that
            contradicts an earlier one.
    """
    numbers: dict[str, int] = {}
    images, codes, lines = array('i'), array('i'), array('i')
    meaning = _confidences(min_confidence)
    for line, image, mid, confidence in _label_rows(path, backend_args):
        number = numbers.get(image)
        if number is None:
            if not _IMAGE_ID.fullmatch(image):
                raise ValueError(f'{path}:{line}: {image[:80]!r} is no ImageID')
            number = numbers[image] = len(numbers)
        try:
            label, present = index[mid], meaning(confidence)
        except KeyError:
            raise ValueError(f'{path}:{line}: class {mid[:60]!r} has no description') from None
        except ValueError as error:
            raise ValueError(f'{path}:{line}: Confidence {confidence[:30]!r} {error}') from None
        if label is not None and present is not None:
            images.append(number)
            codes.append(2 * label + present)
            lines.append(line)
    names = np.array(list(numbers), dtype='S')
    numbers.clear()
    return _grouped(path, names, _view(images), _view(codes), _view(lines), conflict)


def _rows(path: str, backend_args: Mapping | None) -> Iterator[tuple[str, list[str]]]:
    """Rows of a CSV without the empty ones, with their place."""
    with open_text(path, backend_args) as file:
        reader = csv.reader(file, strict=True)  # no open quotes
        try:
            for cells in reader:
                if any(cells):
                    yield f'{path}:{reader.line_num}', cells
        except csv.Error as error:
            raise ValueError(f'{path}:{reader.line_num}: not CSV: {error}') from None


def _label_rows(path: str, backend_args: Mapping | None) -> Iterator[tuple[int, str, str, str]]:
    """Line, image, class and confidence of each row."""
    with open_text(path, backend_args) as file:
        reader = csv.reader(file, strict=True)  # no open quotes
        try:
            header = [name.strip() for name in next(reader, [])]
            missing = [name for name in _COLUMNS if name not in header]
            if missing:
                raise ValueError(f'{path}:1: the header lacks {", ".join(missing)}, it is '
                                 f'{",".join(header)[:100]!r}')
            image, mid, confidence = (header.index(name) for name in _COLUMNS)
            for cells in reader:
                if len(cells) == len(header):
                    yield reader.line_num, cells[image], cells[mid], cells[confidence]
                elif cells:
                    raise ValueError(f'{path}:{reader.line_num}: {len(cells)} cells, the header '
                                     f'has {len(header)}')
        except csv.Error as error:
            raise ValueError(f'{path}:{reader.line_num}: not CSV: {error}') from None


def _confidences(min_confidence: float | None) -> Callable[[str], bool | None]:
    """What a confidence means: present, absent, or (None) nothing; each text is parsed once."""
    found: dict[str, bool | None] = {}

    def parse(text: str) -> bool | None:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not 0 <= value <= 1:  # true for NaN
            raise ValueError('should be a number from 0 to 1')
        if min_confidence is None and value not in (0, 1):
            raise ValueError('is that of a machine, people give 0 or 1: min_confidence=0.8 would '
                             'take a label from 0.8 on for present')
        if min_confidence is None or value == 0:
            return value == 1
        return True if value >= min_confidence else None

    def meaning(text: str) -> bool | None:
        if text not in found:
            found[text] = parse(text)
        return found[text]

    return meaning


def _view(numbers: array[int]) -> np.ndarray:
    return np.frombuffer(numbers, np.int32) if numbers else np.zeros(0, np.int32)


def _grouped(path: str, names: np.ndarray, images: np.ndarray, codes: np.ndarray,
             lines: np.ndarray, conflict: str) -> ImageLabels:
    """Bring the labels of an image together, each once; ``codes`` are 2 * label + present."""
    keys = images.astype(np.int64) << 32 | codes
    order = np.argsort(keys, kind='stable')
    keys = keys[order]
    first = np.ones(len(keys), bool)
    first[1:] = keys[1:] != keys[:-1]
    keys, order = keys[first], order[first]
    both = np.flatnonzero(keys[1:] >> 1 == keys[:-1] >> 1)  # absent, and next to it present
    if len(both) and conflict == 'error':
        earlier, later = sorted(lines[order[both[0]:both[0] + 2]].tolist())
        raise ValueError(
            f'{path}:{later}: contradicts line {earlier}, one says that the class is present in '
            f"the image, the other that it is absent; conflict='unknown' leaves such labels out "
            f'({len(both)} in this file)')
    keys = np.delete(keys, np.concatenate([both, both + 1]))
    starts = np.searchsorted(keys >> 32, np.arange(len(names) + 1))
    codes = (keys & 0xFFFFFFFF).astype(np.int32)
    return ImageLabels(names, starts, codes >> 1, codes % 2 == 1, len(both))


def _repeated(names: Any) -> set[str]:
    seen: set[str] = set()
    return {name for name in names if name in seen or seen.add(name)}  # type: ignore[func-returns-value]
