"""Decision thresholds as values and as files; heads and metrics share them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

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
    names, values = _read(Path(thresholds))
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
    content = dict(classes=list(classes), thresholds=[float(t) for t in thresholds], **extra)
    Path(path).write_text(json.dumps(content, indent=2) + '\n')


def _read(path: Path) -> tuple[list[str], list[float]]:
    """Class names and thresholds of a file."""
    if not path.is_file():
        raise FileNotFoundError(f'thresholds file {path} does not exist')
    try:
        content = json.loads(path.read_text())
        names, values = list(content['classes']), list(content['thresholds'])
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f'{path} is no file of thresholds: it must hold a JSON object with the '
                         f'lists classes and thresholds ({error!r})') from error
    if len(names) != len(values):
        raise ValueError(f'{path} holds {len(values)} thresholds for {len(names)} classes')
    return names, values
