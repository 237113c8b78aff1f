"""What the fields of a COCO file may hold.

Every function judges a whole column at once, with little work for each value, since a file has
millions; called with one value it says which one is wrong.
"""
from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np

#: Larger numbers are no pixels; squared they still fit into float32.
LARGEST = 1e9
#: Images of more pixels a side are not read anyhow, whatever their other side.
LONGEST_SIDE = 10**8


def are_ids(values: list[Any]) -> bool:
    """Integers (of any size) or text; whole numbers with a point count as integers."""
    kinds = set(map(type, values))
    if kinds <= {int, str}:
        return True
    return kinds <= {int, str, float} and all(
        type(value) is not float or value.is_integer() for value in values)


def are_texts(values: list[Any]) -> bool:
    """Text that is not empty."""
    return set(map(type, values)) <= {str} and all(values)


def are_numbers(values: list[Any]) -> bool:
    """Finite numbers up to ``LARGEST``."""
    if not set(map(type, values)) <= {int, float}:
        return False
    try:
        return bool((np.abs(np.array(values, np.float64)) <= LARGEST).all())  # false for NaN
    except OverflowError:
        return False


def are_areas(values: list[Any]) -> bool:
    """Finite numbers of 0 or more; an area may be the square of ``LARGEST``."""
    if not set(map(type, values)) <= {int, float}:
        return False
    try:
        array = np.array(values, np.float64)
    except OverflowError:
        return False
    return bool(((array >= 0) & (array <= LARGEST**2)).all())


def are_sizes(values: list[Any]) -> bool:
    """Positive whole numbers up to ``LONGEST_SIDE``."""
    if not are_numbers(values):
        return False
    array = np.array(values, np.float64)
    return bool(((array >= 1) & (array <= LONGEST_SIDE) & (array == np.floor(array))).all())


def are_boxes(values: list[Any]) -> bool:
    """Lists of four finite numbers."""
    return (set(map(type, values)) <= {list} and set(map(len, values)) <= {4}
            and are_numbers(list(chain.from_iterable(values))))


def are_flags(values: list[Any]) -> bool:
    """0 or 1, false or true."""
    return set(map(type, values)) <= {int, float, bool} and set(values) <= {0, 1}
