"""How far probabilities are from frequencies: reliability, calibration errors, Brier score."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

Binning = Literal['width', 'mass']
BINS = 15


class Reliability(NamedTuple):
    """The bins of a reliability diagram; those without scores are left out."""

    scores: np.ndarray
    """Mean score of each bin, in [0, 1]."""
    frequencies: np.ndarray
    """Share of positives in each."""
    counts: np.ndarray
    """Scores in each."""

    @property
    def expected_error(self) -> float:
        """ECE (Naeini 2015): mean distance of score and frequency, weighted by the counts."""
        if not self.counts.sum():
            return float('nan')
        return float((self._distances * self.counts).sum() / self.counts.sum())

    @property
    def largest_error(self) -> float:
        """MCE: the largest distance of score and frequency."""
        return float(self._distances.max()) if len(self.counts) else float('nan')

    @property
    def _distances(self) -> np.ndarray:
        return np.abs(self.scores - self.frequencies)


def reliability(scores: np.ndarray, targets: np.ndarray, bins: int = BINS,
                binning: Binning = 'width') -> Reliability:
    """Compare scores with frequencies, in bins of scores.

    Args:
        scores: Probabilities of any shape: (N,) of a class, (N, C) for all classes together.
        targets: The same shape, of 1 present, 0 absent, -1 unknown (left out).
        bins: Number of bins.
        binning: 'width' for bins (k / bins, (k + 1) / bins], 0 in the first; 'mass' for bins of
            as equal numbers of scores as there can be, equal scores apart or not.

    Raises:
        ValueError: If ``bins`` is not positive, or the binning another.
    """
    if bins < 1:
        raise ValueError(f'bins must be at least 1, got {bins}')
    known = np.asarray(targets) != -1
    p, hit = np.asarray(scores, dtype=np.float64)[known], np.asarray(targets)[known] == 1
    if binning == 'width':
        index = np.clip(np.ceil(p * bins).astype(int) - 1, 0, bins - 1)
    elif binning == 'mass':
        index = np.empty(len(p), dtype=int)
        index[np.argsort(p, kind='stable')] = np.arange(len(p)) * bins // max(1, len(p))
    else:
        raise ValueError(f"binning should be 'width' or 'mass', got {binning!r}")
    counts = np.bincount(index, minlength=bins)
    used = counts > 0
    sums = (np.bincount(index, weights=values, minlength=bins)[used] for values in (p, hit))
    mean, frequency = (total / counts[used] for total in sums)
    return Reliability(mean, frequency, counts[used])


def class_errors(scores: np.ndarray, targets: np.ndarray, bins: int = BINS,
                 binning: Binning = 'width') -> np.ndarray:
    """The expected calibration error (C,) of each class, NaN without known targets."""
    return np.array([reliability(scores[:, c], targets[:, c], bins, binning).expected_error
                     for c in range(scores.shape[1])])


def brier_score(scores: np.ndarray, targets: np.ndarray) -> float:
    """Mean squared distance of scores and known targets, in [0, 1]; NaN if none are known."""
    known = np.asarray(targets) != -1
    if not known.any():
        return float('nan')
    return float(((np.asarray(scores, np.float64)[known] - np.asarray(targets)[known]) ** 2).mean())
