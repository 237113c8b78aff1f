"""Decision thresholds per class, chosen on validation scores."""

from collections.abc import Callable

import numpy as np


def best_f1_thresholds(scores: np.ndarray, targets: np.ndarray,
                       default: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Find the threshold of each class at which its F1 is highest.

    A class is predicted where ``score > threshold``. The threshold lies midway between the lowest
    score that is predicted and the next one below; among equal F1 the highest is taken.

    Args:
        scores: (N, C) probabilities.
        targets: (N, C) of 1 present, 0 absent, -1 unknown (left out).
        default: Threshold of classes without positives.

    Returns:
        Thresholds (C,) float32, and the F1 (C,) in [0, 1] they reach, NaN without positives.
    """
    def rank(hits: np.ndarray, taken: np.ndarray, positives: int) -> tuple[np.ndarray, np.ndarray]:
        f1 = 2 * hits / (taken + positives)
        return f1, f1
    return _choose(scores, targets, rank, default)


def thresholds_at_precision(scores: np.ndarray, targets: np.ndarray, precision: float,
                            default: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Find the threshold of each class with the highest recall at a wanted precision.

    Where no threshold reaches it, the one of the highest precision is taken.

    Args:
        scores: As in `best_f1_thresholds`, like the rest.
        targets: (N, C) of 1, 0 and -1.
        precision: Wanted, in (0, 1].
        default: Threshold of classes without positives.

    Returns:
        Thresholds (C,) float32, and the precision (C,) they reach, NaN without positives.
    """
    _check_share('precision', precision)

    def rank(hits: np.ndarray, taken: np.ndarray, positives: int) -> tuple[np.ndarray, np.ndarray]:
        reached = hits / taken
        enough = reached >= precision
        # recall where enough (the higher threshold of equal recall), else precision
        return reached, np.where(enough, 1 + hits / positives, reached) if enough.any() else reached
    return _choose(scores, targets, rank, default)


def thresholds_at_recall(scores: np.ndarray, targets: np.ndarray, recall: float,
                         default: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Find the threshold of each class with the highest precision at a wanted recall.

    A recall that no threshold in [0, 1] reaches, since scores are exactly 0, is missed by as little
    as can be.

    Args:
        scores: As in `best_f1_thresholds`, like the rest.
        targets: (N, C) of 1, 0 and -1.
        recall: Wanted, in (0, 1].
        default: Threshold of classes without positives.

    Returns:
        Thresholds (C,) float32, and the recall (C,) they reach, NaN without positives.
    """
    _check_share('recall', recall)

    def rank(hits: np.ndarray, taken: np.ndarray, positives: int) -> tuple[np.ndarray, np.ndarray]:
        reached = hits / positives
        return reached, np.where(reached >= recall, 1 + hits / taken, reached)
    return _choose(scores, targets, rank, default)


#: Of true positives and all that is predicted, at each cut, and the number of positives: what is
#: reached at each cut, and how good the cut is.
_Rank = Callable[[np.ndarray, np.ndarray, int], tuple[np.ndarray, np.ndarray]]


def _choose(scores: np.ndarray, targets: np.ndarray, rank: _Rank,
            default: float) -> tuple[np.ndarray, np.ndarray]:
    scores = np.asarray(scores, dtype=np.float32)
    thresholds = np.full(scores.shape[1], default, dtype=np.float32)
    values = np.full(scores.shape[1], np.nan)
    for c in range(scores.shape[1]):
        known = targets[:, c] != -1
        positive = targets[known, c] == 1
        if positive.any():
            thresholds[c], values[c] = _best_cut(scores[known, c], positive, rank)
    return thresholds, values


def _best_cut(scores: np.ndarray, positive: np.ndarray, rank: _Rank) -> tuple[float, float]:
    if not scores.any():
        return 0.0, 0.0  # no threshold lies below 0
    order = np.argsort(-scores)
    scores = scores[order]
    last = np.flatnonzero(np.append(scores[1:] != scores[:-1], True))  # equal scores stay together
    if scores[-1] == 0:
        last = last[:-1]
    reached, goodness = rank(np.cumsum(positive[order])[last], last + 1, int(positive.sum()))
    best = int(goodness.argmax())
    kept = scores[last[best]]
    rest = scores[last[best] + 1:]
    below = rest[0] if len(rest) else np.float32(0)
    middle = np.float32((float(kept) + float(below)) / 2)
    return float(middle if middle < kept else below), float(reached[best])


def _check_share(name: str, value: float) -> None:
    if not 0 < value <= 1:
        raise ValueError(f'{name} must lie in (0, 1], got {value:g}')
