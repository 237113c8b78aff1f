"""Boxes that look wrong."""
from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

import numpy as np

from .source_data import Box, SourceData, SourceImage

#: Kind of a finding to what is told of it; the value in the list is the last words of it.
KINDS = dict(
    outside='Boxes that end outside of the image; value: pixels outside',
    tiny='Boxes with a side below 4 px; value: the short side in px',
    huge='Boxes that cover more than 95 % of the image; value: the share',
    narrow='Boxes more than 10 times as long as wide; value: the ratio',
    twice='Two boxes of one class at an IoU above 0.9; value: the IoU',
    two_classes='Boxes of two classes at an IoU above 0.9; value: the IoU',
    unusual='Boxes of an unusual size for their class (robust z-score of the log of the share of '
            'the image above 5, classes of 20 boxes and more); value: the score',
)
_SMALL, _HUGE, _NARROW, _SAME, _UNUSUAL, _ENOUGH = 4, 0.95, 10, 0.9, 5, 20
#: The least spread of a class, in the natural logarithm: all boxes of one size are no fault.
_LEAST_SPREAD = 0.1


class OddBox(NamedTuple):
    """A finding."""

    image: int
    """Index into ``data.images``."""
    box: Box
    other: Box | None
    """The second box, where two are compared."""
    value: float


def odd_boxes(data: SourceData) -> dict[str, list[OddBox]]:
    """Find boxes that look wrong; those to be ignored are left out.

    Returns:
        The keys of `KINDS` to findings, the worst first.
    """
    found: dict[str, list[OddBox]] = {kind: [] for kind in KINDS}
    sizes: dict[int, list[tuple[float, int, Box]]] = defaultdict(list)
    for index, image in enumerate(data.images):
        boxes = [box for box in image.boxes or () if not box.ignore]
        for box in boxes:
            for kind, value in _alone(box, image):
                found[kind].append(OddBox(index, box, None, value))
            share = _share(box, image)
            if share > 0:
                sizes[box.label].append((float(np.log(share)), index, box))
        for first, second, value in _same(boxes):
            kind = 'twice' if first.label == second.label else 'two_classes'
            found[kind].append(OddBox(index, first, second, value))
    for own in sizes.values():
        found['unusual'].extend(_unusual(own))
    for kind, findings in found.items():
        sign = 1 if kind == 'tiny' else -1
        findings.sort(key=lambda odd: (sign * abs(odd.value), odd.image))
    return found


def _share(box: Box, image: SourceImage) -> float:
    return max(box.width, 0) * max(box.height, 0) / (image.width * image.height)


def _alone(box: Box, image: SourceImage) -> list[tuple[str, float]]:
    outside = max(-box.x, -box.y, box.x + box.width - image.width,
                  box.y + box.height - image.height)
    short, long = sorted((box.width, box.height))
    tells = [('outside', outside, outside > 0.5),  # half a pixel is rounding
             ('tiny', short, short < _SMALL),
             ('huge', _share(box, image), _share(box, image) > _HUGE),
             ('narrow', long / short if short > 0 else 0, short > 0 and long > _NARROW * short)]
    return [(kind, value) for kind, value, is_odd in tells if is_odd]


def _same(boxes: list[Box]) -> list[tuple[Box, Box, float]]:
    """Pairs of boxes with an intersection over union above `_SAME`."""
    if len(boxes) < 2:
        return []
    corners = np.array([(b.x, b.y, b.x + b.width, b.y + b.height) for b in boxes])
    low = np.maximum(corners[:, None, :2], corners[None, :, :2])
    high = np.minimum(corners[:, None, 2:], corners[None, :, 2:])
    common = np.clip(high - low, 0, None).prod(axis=2)
    area = np.clip(corners[:, 2:] - corners[:, :2], 0, None).prod(axis=1)
    iou = common / np.maximum(area[:, None] + area[None] - common, 1e-9)
    return [(boxes[i], boxes[j], float(iou[i, j]))
            for i, j in zip(*np.nonzero(np.triu(iou, 1) > _SAME), strict=True)]


def _unusual(own: list[tuple[float, int, Box]]) -> list[OddBox]:
    """Far from the median of a class, in units of what a normal distribution's spread would be."""
    if len(own) < _ENOUGH:
        return []
    logs = np.array([log for log, _, _ in own])
    distance = logs - np.median(logs)
    scores = distance / max(1.4826 * float(np.median(np.abs(distance))), _LEAST_SPREAD)
    return [OddBox(index, box, None, float(score))
            for (_, index, box), score in zip(own, scores, strict=True) if abs(score) > _UNUSUAL]
