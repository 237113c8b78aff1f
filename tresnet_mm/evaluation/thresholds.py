"""Decision thresholds per class: choose them on validation scores, write them, read them."""
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

Thresholds = float | Sequence[float] | str | Path


def best_f1_thresholds(scores: np.ndarray, targets: np.ndarray,
                       default: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Find the threshold of each class at which its F1 is highest.

    A class is predicted where ``score > threshold``. The threshold lies midway between the lowest
    score that is predicted and the next one below; among equal F1 the highest is taken.

    Args:
        scores: (N, C) probabilities.
        targets: (N, C) of 1 present, 0 absent, -1 unknown (left out).
        default: threshold of classes without positives.

    Returns:
        Thresholds (C,) float32, and the F1 (C,) in [0, 1] they reach, NaN without positives.
    """
    scores = np.asarray(scores, dtype=np.float32)
    thresholds = np.full(scores.shape[1], default, dtype=np.float32)
    f1 = np.full(scores.shape[1], np.nan)
    for c in range(scores.shape[1]):
        known = targets[:, c] != -1
        positives = np.count_nonzero(targets[known, c] == 1)
        if positives:
            thresholds[c], f1[c] = _best_cut(scores[known, c], targets[known, c] == 1, positives)
    return thresholds, f1


def _best_cut(scores: np.ndarray, positive: np.ndarray, positives: int) -> tuple[float, float]:
    order = np.argsort(-scores)
    scores = scores[order]
    last = np.flatnonzero(np.append(scores[1:] != scores[:-1], True))  # equal scores stay together
    hits = np.cumsum(positive[order])[last]
    f1 = 2 * hits / (last + 1 + positives)
    best = int(f1.argmax())
    kept = scores[last[best]]
    below = scores[last[best] + 1] if best + 1 < len(last) else np.float32(0)
    middle = np.float32((float(kept) + float(below)) / 2)
    return (middle if middle < kept else below), f1[best]


def save_thresholds(path: str | Path, thresholds: np.ndarray, classes: Sequence[str],
                    **extra) -> None:
    """Write thresholds and class names, in this order, as JSON; ``extra`` is stored beside them."""
    content = dict(classes=list(classes), thresholds=[float(t) for t in thresholds], **extra)
    Path(path).write_text(json.dumps(content, indent=2) + '\n')


def load_thresholds(thresholds: Thresholds, num_classes: int,
                    classes: Sequence[str] | None = None) -> np.ndarray:
    """Return thresholds (num_classes,) float32.

    Args:
        thresholds: one probability for all classes, one per class, or the path of a JSON file
            written by :func:`save_thresholds`.
        num_classes: number expected.
        classes: class names expected; the file's are put into this order.

    Raises:
        ValueError: wrong number, a value outside [0, 1], or a class the file lacks.
        FileNotFoundError: no such file.
    """
    source = repr(thresholds)
    if isinstance(thresholds, (str, Path)):
        content = json.loads(Path(thresholds).read_text())
        thresholds = content['thresholds']
        if classes is not None:
            by_name = dict(zip(content['classes'], thresholds, strict=True))
            missing = [name for name in classes if name not in by_name]
            if missing:
                raise ValueError(f'{source} has no threshold for {missing[:5]}')
            thresholds = [by_name[name] for name in classes]
    values = np.asarray(thresholds, dtype=np.float32)
    if values.ndim == 0:
        values = np.full(num_classes, values)
    if values.shape != (num_classes, ):
        raise ValueError(f'thresholds {source} hold {values.size} values, but there are '
                         f'{num_classes} classes')
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f'thresholds are probabilities in [0, 1], got {source}')
    return values
