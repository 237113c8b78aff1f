"""Files of class priors: how often each class is present."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..datasets.annotations import read_text

_HEADER = ['class', 'prior']


def save_class_priors(path: str | Path, priors: Sequence[float] | np.ndarray,
                      classes: Sequence[str]) -> None:
    """Write a CSV of ``class,prior``; its folder is made."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerows([_HEADER, *zip(classes, map(float, priors), strict=True)])
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text.getvalue(), encoding='utf-8')


def load_class_priors(path: str | Path, classes: Sequence[str]) -> np.ndarray:
    """Read the priors of classes by name, whatever their order in the file.

    Returns:
        Probabilities (C,), float32, in the order of ``classes``.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: With file and line: another header, a row of another form, no number in [0, 1],
            a class that stands twice; or a class that the file lacks.
    """
    found: dict[str, float] = {}
    rows = csv.reader(io.StringIO(read_text(str(path)), newline=''))
    if next(rows, None) != _HEADER:
        raise ValueError(f'{path}:1: the header of a file of priors is class,prior')
    for cells in rows:
        where = f'{path}:{rows.line_num}'
        if not cells:
            continue
        try:
            name, text = cells
            prior = float(text)
        except ValueError:
            raise ValueError(f'{where}: expected a class and a number, got {cells}') from None
        if not 0 <= prior <= 1:
            raise ValueError(f'{where}: a prior lies in [0, 1], got {prior:g}')
        if name in found:
            raise ValueError(f'{where}: class {name!r} is listed twice')
        found[name] = prior
    missing = [name for name in classes if name not in found]
    if missing:
        raise ValueError(f'{path} has no prior of {len(missing)} classes: {missing[:5]}')
    return np.array([found[name] for name in classes], np.float32)
