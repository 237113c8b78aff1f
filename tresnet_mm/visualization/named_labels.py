"""The labels of named image heads (`MultiTaskDetector`) below the image."""

from collections.abc import Mapping, Sequence

import numpy as np
from mmengine.structures import BaseDataElement

from .label_scores import draw_label_scores

#: Above which a label is predicted where the head says nothing.
_THRESHOLD = 0.5


def named_fields(sample: BaseDataElement) -> dict[str, BaseDataElement]:
    """The fields of a sample that are of named image heads: with scores, true labels, or both.

    In the order of the names: a sample has its fields in none.
    """
    return {name: field for name, field in sorted(sample.items(), key=lambda item: item[0])
            if type(field) is BaseDataElement and ('pred_scores' in field or 'gt_labels' in field)}


def draw_named_labels(picture: np.ndarray, sample: BaseDataElement,
                      classes: Mapping[str, Sequence[str]], draw_gt: bool = True,
                      draw_pred: bool = True, width: int = 400, text_size: int = 13
                      ) -> np.ndarray:
    """Draw the labels of all named heads below a picture: verdict, score, ``NAME: label``.

    Args:
        picture: uint8 (H, W, 3) in RGB.
        sample: With the fields of `named_fields`: ``pred_scores`` (num_classes,) probabilities,
            ``pred_labels`` or ``pred_label`` (above 0.5 where there are none), and ``gt_labels``
            (num_classes,) of 1, 0 and -1.
        classes: Names of the classes of each head; those of a head that is missing are numbered.
        draw_gt: Whether to draw the truth.
        draw_pred: Whether to draw the predictions.
        width: Width in pixels to which the picture is scaled.
        text_size: Height of the letters in pixels.

    Returns:
        uint8 (height, width, 3) in RGB; the picture itself where there is nothing to draw.
    """
    for name, field in named_fields(sample).items():
        scores = np.asarray(field.pred_scores) if draw_pred and 'pred_scores' in field else None
        targets = np.asarray(field.gt_labels) if draw_gt and 'gt_labels' in field else None
        given = scores if scores is not None else targets
        if given is None:
            continue
        names = classes.get(name) or [str(index) for index in range(len(given))]
        picture = draw_label_scores(
            picture, scores, [f'{name}: {label}' for label in names], targets, top=1, width=width,
            predicted=None if scores is None else _predicted(field, scores), text_size=text_size)
    return picture


def _predicted(field: BaseDataElement, scores: np.ndarray) -> np.ndarray:
    """Boolean (num_classes,)."""
    chosen = field.get('pred_labels', field.get('pred_label'))
    if chosen is None:
        return scores > _THRESHOLD
    return np.isin(np.arange(len(scores)), np.asarray(chosen))
