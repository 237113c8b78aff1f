"""Multi-label measures of scores and targets: mAP, precision, recall, F1."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from ..thresholds import Thresholds, load_thresholds

EmptyClasses = Literal['skip', 'zero']


def average_precision(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Average precision of each class, without interpolation.

    The mean over the positives of the precision at the rank of each. Images with equal scores
    cannot be ranked, so they enter together, at the precision behind the last of them (as in
    scikit-learn): the result does not depend on the order of the images.

    Args:
        scores: (N, C), any monotone scores.
        targets: (N, C) of 1 present, 0 absent, -1 unknown (left out).

    Returns:
        (C,) in [0, 1], NaN for a class without positives.
    """
    result = np.full(scores.shape[1], np.nan)
    for c in range(scores.shape[1]):
        column, target = scores[:, c], targets[:, c]
        known = target != -1
        if not known.all():
            column, target = column[known], target[known]
        positives = np.count_nonzero(target)
        if not positives:
            continue
        order = np.argsort(column)[::-1]
        column = column[order]
        last = np.flatnonzero(np.append(column[1:] != column[:-1], True))  # of each run of equals
        hits = np.cumsum(target[order] == 1)[last]
        result[c] = (np.diff(hits, prepend=0) * hits / (last + 1)).sum() / positives
    return result


def precision_recall_f1(predicted: np.ndarray, targets: np.ndarray,
                        empty_classes: EmptyClasses = 'skip') -> dict[str, float]:
    """Precision, recall and F1 of hard predictions, per class and overall, in percent.

    Precision is 0 where nothing is predicted. Unknown targets count neither way.

    Args:
        predicted: Boolean (N, C).
        targets: (N, C) of 1, 0 and -1 (unknown).
        empty_classes: Whether classes without positives are left out of the per-class means
            ('skip') or count as 0 ('zero'). The overall figures always count their false
            alarms.

    Returns:
        ``CP``, ``CR``: means over classes; ``CF1``: harmonic mean of these two, as published;
        ``CF1_per_class``: mean over classes of each one's F1, as ASL's script has it; ``OP``,
        ``OR``, ``OF1``: over all decisions.
    """
    positive = targets == 1
    hits = (predicted & positive).sum(0)
    alarms = (predicted & (targets != -1)).sum(0)
    positives = positive.sum(0)
    counted = positives > 0
    precision, recall = _ratio(hits, alarms), _ratio(hits, positives)
    f1 = _ratio(2 * hits, alarms + positives)
    if empty_classes == 'zero':
        precision, recall, f1 = (np.where(counted, v, 0) for v in (precision, recall, f1))
        counted = np.ones_like(counted)
    cp, cr, cf1 = (100 * v[counted].mean() if counted.any() else np.nan
                   for v in (precision, recall, f1))
    op, overall = 100 * _ratio(hits.sum(), alarms.sum()), 100 * _ratio(hits.sum(), positives.sum())
    result = dict(CP=cp, CR=cr, CF1=_ratio(2 * cp * cr, cp + cr), CF1_per_class=cf1,
                  OP=op, OR=overall, OF1=_ratio(2 * op * overall, op + overall))
    return {name: float(value) for name, value in result.items()}


def multilabel_scores(scores: np.ndarray, targets: np.ndarray, thresholds: Thresholds = 0.5,
                      top_k: int | None = 3,
                      empty_classes: EmptyClasses = 'skip') -> dict[str, float]:
    """All multi-label measures of one set of predictions, in percent.

    Args:
        scores: (N, C) probabilities.
        targets: (N, C) of 1 present, 0 absent, -1 unknown (left out).
        thresholds: A class is predicted where ``score > threshold``; see
            `load_thresholds` for the forms.
        top_k: Also measure predicting the ``top_k`` classes of highest score (the first of equal
            ones) whatever the score; None leaves that out.
        empty_classes: See `precision_recall_f1`; holds for the mAP too.

    Returns:
        ``mAP``, the names of `precision_recall_f1`, and these with ``_top{k}`` appended.

    Raises:
        ValueError: If shapes differ, scores are NaN, or targets are other than 1, 0 and -1.

    Examples:
        >>> import numpy as np
        >>> from tresnet_mm.evaluation import multilabel_scores
        >>> scores = np.array([[0.9, 0.2], [0.3, 0.6], [0.8, 0.1]])
        >>> targets = np.array([[1, 0], [0, 1], [0, -1]])  # -1: unknown
        >>> result = multilabel_scores(scores, targets, thresholds=0.5, top_k=None)
        >>> print(*(f'{key} {result[key]:.1f}' for key in ('mAP', 'OP', 'OR')))
        mAP 100.0 OP 66.7 OR 100.0
    """
    _check(scores, targets, empty_classes)
    ap = average_precision(scores, targets)
    if empty_classes == 'zero':
        ap = np.nan_to_num(ap)
    result = dict(mAP=float(100 * np.nanmean(ap)) if np.isfinite(ap).any() else float('nan'))
    predicted = scores > load_thresholds(thresholds, scores.shape[1])
    result.update(precision_recall_f1(predicted, targets, empty_classes))
    if top_k is not None:
        top = np.argsort(-scores, axis=1, kind='stable')[:, :top_k]
        predicted = np.zeros(scores.shape, dtype=bool)
        np.put_along_axis(predicted, top, True, axis=1)
        at_top = precision_recall_f1(predicted, targets, empty_classes)
        result.update({f'{name}_top{top_k}': value for name, value in at_top.items()})
    return result


def class_table(scores: np.ndarray, targets: np.ndarray, classes: Sequence[str],
                thresholds: np.ndarray) -> str:
    """Format AP, precision and recall (at the thresholds) of each class, in percent."""
    positive, predicted = targets == 1, scores > thresholds
    hits = (predicted & positive).sum(0)
    columns = (100 * average_precision(scores, targets),
               100 * _ratio(hits, (predicted & (targets != -1)).sum(0)),
               100 * _ratio(hits, positive.sum(0)))
    width = max(len('class'), *map(len, classes))
    lines = ['', f'{"class":{width}}  positives     AP  precision  recall']
    for name, count, ap, precision, recall in zip(classes, positive.sum(0), *columns, strict=True):
        lines.append(f'{name:{width}}  {count:9d}  {ap:5.1f}  {precision:9.1f}  {recall:6.1f}')
    return '\n'.join(lines)


def _ratio(a: Any, b: Any) -> Any:
    """``a / b``, 0 where b is 0."""
    b = np.asarray(b, dtype=np.float64)
    return np.divide(a, b, out=np.zeros_like(b), where=b != 0)


def _check(scores: np.ndarray, targets: np.ndarray, empty_classes: str) -> None:
    if scores.ndim != 2 or scores.shape != targets.shape:
        raise ValueError('scores and targets must have the same shape (images, classes), got '
                         f'{scores.shape} and {targets.shape}')
    if empty_classes not in ('skip', 'zero'):
        raise ValueError(f"empty_classes must be 'skip' or 'zero', got {empty_classes!r}")
    bad = np.flatnonzero(np.isnan(scores).any(axis=1))
    if len(bad):
        raise ValueError(f'{len(bad)} of {len(scores)} images have NaN scores, the first is '
                         f'image {bad[0]}')
    if not ((targets == 0) | (targets == 1) | (targets == -1)).all():
        raise ValueError('targets must be 1 (present), 0 (absent) or -1 (unknown) to be evaluated')
