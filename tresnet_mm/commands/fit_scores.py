"""Scaling and thresholds fitted to the scores of one image-level head, and what they bring."""
from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..evaluation import (
    best_f1_thresholds,
    brier_score,
    fit_scaling,
    multilabel_scores,
    reliability,
    thresholds_at_precision,
    thresholds_at_recall,
)
from ..evaluation.scaling import FEWEST

_RULES = {'precision': thresholds_at_precision, 'recall': thresholds_at_recall}


def fit(scores: np.ndarray, targets: np.ndarray, classes: Sequence[str], scaling: str, rule: str,
        fewest: int = FEWEST) -> tuple[np.ndarray, dict[str, np.ndarray], list[str]]:
    """The scaled scores (N, C), what was fitted by its name, and what is to be told."""
    after, told, values = scores, [], {}
    if scaling != 'none':
        found = fit_scaling(scores, targets, scaling, fewest=fewest)  # type: ignore[arg-type]
        after = found(scores)
        what = ('is not scaled' if found.shared is None else
                f'has the temperature of all classes, {1 / found.shared:.4f}')
        told = [f'{classes[c]} {what}: {why}' for c, why in found.left.items()]
        values = dict(scale=found.scale, bias=found.bias)
    if (chosen := choose(rule, after, targets)) is not None:
        values['thresholds'] = chosen[0]
        told += [f'{classes[c]}: {why}' for c, why in chosen[1].items()]
        told += [f'{classes[c]}: its threshold rests on {count} known positives'
                 for c, count in enumerate((targets == 1).sum(axis=0)) if 0 < count < fewest]
    return after, values, told


def check_rule(rule: str) -> None:
    """See that there is such a rule of ``--thresholds``; ValueError where not."""
    if rule not in ('f1', 'none'):
        _wanted(rule)


def choose(rule: str, scores: np.ndarray, targets: np.ndarray
           ) -> tuple[np.ndarray, dict[int, str]] | None:
    """The thresholds (C,) of a rule of ``--thresholds``; None for 'none'.

    Returns:
        With what is to be told of a class, by its index.

    Raises:
        ValueError: If there is no such rule.
    """
    if rule == 'none':
        return None
    if rule == 'f1':
        thresholds, reached = best_f1_thresholds(scores, targets)
        wanted = 0.0
    else:
        wanted, name = _wanted(rule)
        thresholds, reached = _RULES[name](scores, targets, wanted)
    told = {c: f'its {rule.partition("=")[0]} is {value:.3f} at most: that is taken'
            for c, value in enumerate(reached) if value < wanted}
    told |= {c: 'no known positives: the threshold is 0.5' for c in np.flatnonzero(
        np.isnan(reached)).tolist()}
    return thresholds, told


def _wanted(rule: str) -> tuple[float, str]:
    name, _, number = rule.partition('=')
    try:
        wanted = float(number)
    except ValueError:
        wanted = 0.0
    if name not in _RULES or not 0 < wanted <= 1:
        raise ValueError('--thresholds should be f1, none, or precision or recall with a number in '
                         f'(0, 1], such as precision=0.9; got {rule!r}')
    return wanted, name


def report(before: np.ndarray, after: np.ndarray, targets: np.ndarray,
           thresholds: np.ndarray | None) -> str:
    """What was gained, in lines."""
    lines = [f'{name}: {measure(before):.2f} -> {measure(after):.2f}' for name, measure in {
        'ECE (%)': lambda scores: 100 * reliability(scores, targets).expected_error,
        'ECE of equal bins (%)': lambda scores: 100 * reliability(
            scores, targets, binning='mass').expected_error,
        'largest error of a bin (%)': lambda s: 100 * reliability(s, targets).largest_error,
        'Brier score (%)': lambda scores: 100 * brier_score(scores, targets)}.items()]
    plain = multilabel_scores(before, targets, top_k=None)
    chosen = multilabel_scores(after, targets, 0.5 if thresholds is None else thresholds,
                               top_k=None)
    return '\n'.join([*lines, *(f'{key}: {plain[key]:.2f} -> {chosen[key]:.2f}' for key in (
        'mAP', 'CP', 'CR', 'CF1', 'OF1'))])


def table(classes: Sequence[str], values: Mapping[str, np.ndarray]) -> list[str]:
    """What was fitted to each class, a line a class."""
    width = max(map(len, classes))
    return [f'{name:{width}}  ' + '  '.join(f'{key} {value[c]:.4f}' for key, value in
                                            values.items()) for c, name in enumerate(classes)]
