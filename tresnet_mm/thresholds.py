"""Decision thresholds as values and as files; heads and metrics share them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .class_values import read_class_values, save_class_values

#: One probability for all classes, one per class, or a file of `save_thresholds`.
Thresholds = float | Sequence[float] | np.ndarray | str | Path


def check_thresholds(thresholds: float | Sequence[float] | np.ndarray, num_classes: int,
                     source: str | None = None) -> np.ndarray:
    """Return thresholds (num_classes,) float32.

    Args:
        thresholds: One probability for all classes, or one per class.
        num_classes: Number expected.
        source: What messages call them; their values where None.

    Raises:
        TypeError: If they are no numbers.
        ValueError: If there is another number of them, or a value outside [0, 1].
    """
    source = source or repr(thresholds)
    try:
        values = np.asarray(thresholds, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise TypeError(f'thresholds are one number or one per class, got {source}') from error
    if values.ndim == 0:
        values = np.full(num_classes, values)
    if values.shape != (num_classes, ):
        raise ValueError(f'thresholds {source} hold {values.size} values, but there are '
                         f'{num_classes} classes')
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f'thresholds are probabilities in [0, 1], got {source}')
    return values


def load_thresholds(thresholds: Thresholds, num_classes: int,
                    classes: Sequence[str] | None = None) -> np.ndarray:
    """Return thresholds (num_classes,) float32, read from a file where they are its path.

    Args:
        thresholds: One probability for all classes, one per class, or the path of a JSON file
            written by `save_thresholds`.
        num_classes: Number expected.
        classes: Class names expected; the file's thresholds are put into this order.

    Raises:
        TypeError: If they are neither numbers nor a path.
        ValueError: If there is another number of them, a value outside [0, 1], a class that the
            file lacks, or a file that holds something else.
        FileNotFoundError: If there is no such file.
    """
    if not isinstance(thresholds, (str, Path)):
        return check_thresholds(thresholds, num_classes)
    source = repr(str(thresholds))
    names, values = read_class_values(thresholds, 'thresholds')
    if classes is not None:
        by_name = dict(zip(names, values, strict=True))
        missing = [name for name in classes if name not in by_name]
        if missing:
            raise ValueError(f'{source} has no threshold for {missing[:5]}')
        values = [by_name[name] for name in classes]
    return check_thresholds(values, num_classes, source)


def save_thresholds(path: str | Path, thresholds: Sequence[float] | np.ndarray,
                    classes: Sequence[str], **extra: Any) -> None:
    """Write thresholds and class names, in this order, as JSON; ``extra`` is stored beside them."""
    save_class_values(path, 'thresholds', thresholds, classes, **extra)
