"""Decision thresholds per class, chosen on validation scores."""

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
    return float(middle if middle < kept else below), float(f1[best])
