"""Temperature and Platt scaling of multi-label scores, fitted to targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

ScalingKind = Literal['shared', 'temperature', 'platt']

#: Half the distance from 1 to the largest float32 below it: what was rounded to 1 lies above.
_BELOW_ONE = 1 - 2.0 ** -25
_ABOVE_ZERO = float(np.finfo(np.float32).tiny)
_STEPS = 100
_TINY_STEP = 1e-10
#: Slopes beyond tell of classes that a threshold separates, where the likelihood has no maximum.
_LARGEST = 50.0
#: Known positives and negatives from which on a class is fitted by itself, by default.
FEWEST = 10


@dataclass(frozen=True)
class Scaling:
    """Logits become ``logit * scale + bias``.

    Attributes:
        scale: (C,) float32, positive; 1 / temperature.
        bias: (C,) float32, in logits.
        left: Why a class has no fit of its own, by its index.
        shared: The scale of all classes together, which these have too; None if there is none,
            and they stay as they are.
    """

    scale: np.ndarray
    bias: np.ndarray
    left: dict[int, str]
    shared: float | None

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """Scaled probabilities (N, C) float32 of probabilities (N, C)."""
        scaled = logits_of(scores) * self.scale.astype(np.float64) + self.bias
        return _sigmoid(scaled).astype(np.float32)


def logits_of(scores: np.ndarray) -> np.ndarray:
    """Logits float64 of float32 probabilities.

    What is saturated gets the logit of the last probability that would have been rounded to 0 or 1,
    about -87 and 17.
    """
    p = np.clip(np.asarray(scores, dtype=np.float64), _ABOVE_ZERO, _BELOW_ONE)
    return np.log(p) - np.log1p(-p)


def fit_scaling(scores: np.ndarray, targets: np.ndarray, kind: ScalingKind = 'platt',
                smooth: bool = True, fewest: int = FEWEST) -> Scaling:
    """Find the scaling of each class under which its known targets are most likely.

    Temperature scaling (arXiv 1706.04599, section 4.2) divides logits by one number, those of all
    classes by a shared one or those of each class by its own; Platt scaling (Platt 1999) adds a
    bias by class. A class with too few known positives or negatives, or whose scores do not rise
    with its targets (a slope that is not positive would turn the order of its images round), gets
    the shared temperature.

    Args:
        scores: (N, C) probabilities.
        targets: (N, C) of 1 present, 0 absent, -1 unknown (left out).
        kind: 'shared' for one temperature, 'temperature' for one a class, or 'platt'.
        smooth: Whether Platt's targets are (N+ + 1) / (N+ + 2) and 1 / (N- + 2) in place of 1 and
            0, as he has it: few images then cannot claim certainty. Temperature has 1 and 0.
        fewest: Known positives, and known negatives, that a fit by class needs.

    Raises:
        ValueError: If the kind is another, or ``fewest`` is not positive.
    """
    if kind not in ('shared', 'temperature', 'platt'):
        raise ValueError(f"scaling should be 'shared', 'temperature' or 'platt', got {kind!r}")
    if fewest < 1:
        raise ValueError(f'fewest should be at least 1, got {fewest}')
    known = targets != -1
    shared, why = _fit(logits_of(scores[known]), targets[known] == 1, 'temperature', False, 1)
    count = scores.shape[1]
    scale, bias, left = np.full(count, 1.0 if why else shared[0]), np.zeros(count), {}
    for c in range(count):
        if kind == 'shared':
            why_not = why
        else:
            own = known[:, c]
            found, why_not = _fit(logits_of(scores[own, c]), targets[own, c] == 1, kind, smooth,
                                  fewest)
            if not why_not:
                scale[c], bias[c] = found
        if why_not:
            left[c] = why_not
    return Scaling(scale.astype(np.float32), bias.astype(np.float32), left,
                   None if why else shared[0])


def _fit(logits: np.ndarray, positive: np.ndarray, kind: ScalingKind, smooth: bool, fewest: int
         ) -> tuple[tuple[float, float], str]:
    """Slope and bias, and why they are not to be used; empty if they are."""
    counts = {'positives': int(positive.sum()), 'negatives': int((~positive).sum())}
    for name, number in counts.items():
        if number < fewest:
            return (1.0, 0.0), f'only {number} known {name}' if number else f'no known {name}'
    wanted = positive.astype(np.float64)
    if kind == 'platt' and smooth:
        wanted = np.where(positive, (counts['positives'] + 1) / (counts['positives'] + 2),
                          1 / (counts['negatives'] + 2))
    slope, bias = _newton(logits, wanted, kind == 'platt')
    if slope <= 0:
        return (slope, bias), f'its scores do not rise with its targets (slope {slope:.2g})'
    if slope > _LARGEST:
        return (slope, bias), f'its scores separate its targets (slope over {_LARGEST:g})'
    return (slope, bias), ''


def _newton(logits: np.ndarray, wanted: np.ndarray, with_bias: bool) -> tuple[float, float]:
    """Slope and bias that minimise the cross entropy, by Newton's steps, halved while it rises."""
    columns = np.stack([logits, np.ones_like(logits)][:1 + with_bias], axis=1)
    found = np.array([1.0, 0.0][:1 + with_bias])
    loss = _cross_entropy(columns @ found, wanted)
    for _ in range(_STEPS):
        p = _sigmoid(columns @ found)
        gradient = columns.T @ (p - wanted)
        hessian = (columns * (p * (1 - p))[:, None]).T @ columns
        # all logits alike, or all saturated: flat, and the least change is the right one
        step = np.linalg.lstsq(hessian, gradient, rcond=None)[0]
        size = 1.0
        while (new := _cross_entropy(columns @ (found - size * step), wanted)) > loss:
            size /= 2
            if size < _TINY_STEP:
                return float(found[0]), float(found[1]) if with_bias else 0.0
        found, loss = found - size * step, new
        if np.abs(step).max() < _TINY_STEP or abs(found[0]) > 2 * _LARGEST:
            break
    return float(found[0]), float(found[1]) if with_bias else 0.0


def _cross_entropy(logits: np.ndarray, wanted: np.ndarray) -> float:
    return float((np.logaddexp(0, logits) - wanted * logits).sum())


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return np.exp(-np.logaddexp(0, -logits))
