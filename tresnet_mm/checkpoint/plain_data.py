"""Pickles of plain values and NumPy arrays, read as data: nothing in them is run."""

from pathlib import Path
from typing import Any

from .plain_pickle import ForbiddenName, PlainPickle
from .plain_types import STATES, plain_names


def read_plain_pickle(path: str | Path) -> Any:
    """Read a pickle by `PlainPickle`, of any Python; texts of Python 2 are read as Latin-1.

    Raises:
        ValueError: If it is damaged, or asks for anything that is no plain value or array.
    """
    try:
        return PlainPickle(plain_names(), STATES).read(Path(path).read_bytes())
    except ForbiddenName as error:
        raise ValueError(f'{str(path)!r} asks for {error.args[0]}, which is no plain data: it is '
                         'refused') from error
    except Exception as error:  # a damaged file can make the reader raise anything
        raise ValueError(f'{str(path)!r} is damaged or no pickle: {error}') from error
