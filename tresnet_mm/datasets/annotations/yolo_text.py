"""YOLO's label texts: a line an object, normalised by the image's size."""
from __future__ import annotations

import math
from typing import NamedTuple

from .text_file import read_text


class YOLOObject(NamedTuple):
    """An object of a text file.

    Attributes:
        label: Index of its class.
        center_x: Middle of its box as a share of the image's width, as are the next three.
        center_y: Of the height.
        width: Of the width.
        height: Of the height.
        outline: Whether the line was a polygon, whose box this is.
    """

    label: int
    center_x: float
    center_y: float
    width: float
    height: float
    outline: bool = False


def read_yolo_text(path: str, num_classes: int) -> list[YOLOObject]:
    """Read a text file of lines ``CLASS CX CY W H``, or ``CLASS X Y X Y X Y ...`` for polygons.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: With file and line: a class that is not there, or numbers that are none.
    """
    objects = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        cells = line.split()
        if cells:
            objects.append(_object(cells, f'{path}:{number}', num_classes))
    return objects


def _object(cells: list[str], where: str, num_classes: int) -> YOLOObject:
    values = [_number(cell, where) for cell in cells]
    label = values.pop(0)
    if not label.is_integer() or not 0 <= label < num_classes:
        raise ValueError(f'{where}: class {cells[0]!r} should be a whole number from 0 to '
                         f'{num_classes - 1}, the place in the list of names')
    if len(values) == 4:
        x, y, width, height = values
        return YOLOObject(int(label), x, y, width, height)
    if len(values) < 6 or len(values) % 2:
        raise ValueError(f'{where}: {len(values)} numbers after the class, there should be four '
                         '(cx cy w h) or the points of a polygon (x y, three or more)')
    left, right = min(values[::2]), max(values[::2])
    top, bottom = min(values[1::2]), max(values[1::2])
    return YOLOObject(int(label), (left + right) / 2, (top + bottom) / 2, right - left,
                      bottom - top, True)


def _number(cell: str, where: str) -> float:
    try:
        number = float(cell)
    except ValueError:
        number = math.nan
    if not abs(number) <= 1e6:  # true for NaN
        raise ValueError(f'{where}: {cell[:60]!r} should be a number')
    return number
