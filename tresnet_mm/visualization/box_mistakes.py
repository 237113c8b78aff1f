"""The worst mistakes of a detector, and objects whose annotation may be wrong or missing."""

import contextlib
import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from mmdet.datasets.api_wrappers import COCO, COCOeval
from pycocotools import mask as coco_mask

from ..evaluation.renumbered_coco import RenumberedCOCO

#: What a false alarm is at the place where it is, see `BoxMistakes`.
Kind = Literal['double', 'other class', 'misplaced', 'nothing there', 'missed']
#: Below this overlap with every object there is nothing there.
_NOTHING = 0.1


@dataclass(frozen=True)
class BoxMistake:
    """A predicted box that is wrong, or an object that was not found.

    Attributes:
        image: Number of the image in the file, from 0.
        label: Class of the box.
        box: x1, y1, x2, y2 in pixels.
        score: Of a predicted box.
        kind: What is wrong.
        overlap: IoU with the object that it overlaps most, of any class; 0 where there is none.
        other: Class of that object.
    """

    image: int
    label: int
    box: tuple[float, float, float, float]
    kind: Kind
    score: float | None = None
    overlap: float = 0.0
    other: int | None = None


@dataclass
class BoxMistakes:
    """What is wrong with a detector's boxes.

    Attributes:
        false_alarms: Predicted boxes that match no object of their class, the highest scores
            first. ``kind`` 'double': of an object that a better box has found; 'other class': on
            an object of another class; 'misplaced': with an IoU of 0.1 at least; 'nothing there'.
        missed: Objects that no box of their class matches, the largest first.
        confusion: (C + 1, C + 1) counts, rows true, columns predicted; the last row is of boxes
            that are on no object, the last column of objects that no box is on.
        objects: Class and box of every object that counts, an array a kind for each image.
    """

    false_alarms: list[BoxMistake]
    missed: list[BoxMistake]
    confusion: np.ndarray
    objects: list[tuple[np.ndarray, np.ndarray]] = field(repr=False)

    def doubtful(self) -> list[BoxMistake]:
        """Candidates for wrong annotations, the highest scores first.

        Where a confident box has nothing under it, an annotation may be missing; where it covers
        an object of another class, that object's class may be wrong.
        """
        return [m for m in self.false_alarms if m.kind in ('nothing there', 'other class')]


def find_box_mistakes(truth: RenumberedCOCO, results: Sequence[dict[str, Any]], num_classes: int,
                      score_threshold: float = 0.3, iou: float = 0.5) -> BoxMistakes:
    """Match boxes and objects as pycocotools does, and collect what has no partner.

    The boxes of a class are matched to its objects by falling score, each to the free one that it
    overlaps most. A box on a crowd is neither right nor wrong. For the confusion, what is left on
    both sides is then matched without regard to the class.

    Args:
        truth: The annotations; category ``label + 1`` is class ``label``.
        results: Predicted boxes in COCO's result format, with the annotation file's own ids.
        num_classes: Number of classes C; objects of further categories do not count.
        score_threshold: Predictions of a lower score are left out.
        iou: The least overlap of a match.

    Raises:
        ValueError: If no prediction is left.
    """
    kept = [result for result in results if result['score'] >= score_threshold]
    if not kept:
        raise ValueError(f'none of the {len(results)} predictions has a score of '
                         f'{score_threshold:g} or more')
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools tells what it does
        found = truth.loadRes(kept)
    classes = list(range(1, num_classes + 1))
    pairs, free_boxes, free_objects = _match(truth, found, iou, classes)
    left = _subset(truth, free_objects), _subset(found, free_boxes)
    crossed, lost_boxes, lost_objects = _match(*left, iou)
    confusion = np.zeros((num_classes + 1, num_classes + 1), int)
    for thing, box in [*pairs, *crossed]:
        confusion[_label(truth, thing), _label(found, box)] += 1
    for box in lost_boxes:
        confusion[-1, _label(found, box)] += 1
    for thing in lost_objects:
        confusion[_label(truth, thing), -1] += 1
    alarms = [_judge(found.anns[box], truth, num_classes, iou) for box in free_boxes]
    missed = [_mistake(truth.anns[thing], 'missed') for thing in free_objects]
    return BoxMistakes(sorted(alarms, key=lambda m: -(m.score or 0)),
                       sorted(missed, key=lambda m: -_area(m.box)), confusion,
                       [_objects(truth, image, num_classes) for image in sorted(truth.imgs)])


def _match(truth: COCO, found: COCO, iou: float, classes: Sequence[int] | None = None
           ) -> tuple[list[tuple[int, int]], list[int], list[int]]:
    """Ids of objects and boxes that match; of boxes without an object; of objects without a box.

    Args:
        truth: The objects.
        found: The boxes.
        iou: The least overlap of a match.
        classes: Category ids to match one by one; None matches without regard to them.
    """
    with contextlib.redirect_stdout(io.StringIO()):
        evaluator = COCOeval(truth, found, 'bbox')
        evaluator.params.iouThrs = np.array([iou])
        evaluator.params.areaRng, evaluator.params.areaRngLbl = [[0, 1e10]], ['all']
        evaluator.params.useCats = int(classes is not None)
        evaluator.params.catIds = classes or sorted(truth.cats)
        # more than COCO's 100: a box that is not looked at would be neither right nor wrong
        evaluator.params.maxDets = [max(1, *map(len, found.imgToAnns.values()), 0)]
        evaluator.evaluate()
    pairs, boxes, things = [], [], []
    for entry in filter(None, evaluator.evalImgs):
        matched = {int(box): int(thing)
                   for box, thing in zip(entry['dtIds'], entry['dtMatches'][0], strict=True)}
        ignored = {int(box) for box, flag in zip(
            entry['dtIds'], entry['dtIgnore'][0], strict=True) if flag}
        counted = {int(thing) for thing, flag in zip(
            entry['gtIds'], entry['gtIgnore'], strict=True) if not flag}
        pairs += [(thing, box) for box, thing in matched.items() if thing in counted]
        boxes += [box for box, thing in matched.items() if not thing and box not in ignored]
        things += sorted(counted - set(matched.values()))
    return pairs, boxes, things


def _subset(coco: COCO, ids: Collection[int]) -> COCO:
    """An index of some annotations alone."""
    part = COCO()
    part.dataset = dict(coco.dataset, annotations=[dict(coco.anns[key]) for key in ids])
    with contextlib.redirect_stdout(io.StringIO()):
        part.createIndex()
    return part


def _judge(box: dict[str, Any], truth: RenumberedCOCO, num_classes: int, iou: float) -> BoxMistake:
    """What a box without a partner is at its place."""
    things = [a for a in truth.imgToAnns[box['image_id']] if a['category_id'] <= num_classes]
    if not things:
        return _mistake(box, 'nothing there')
    overlaps = coco_mask.iou([box['bbox']], [a['bbox'] for a in things],
                             [a['iscrowd'] for a in things])[0]
    own = np.array([a['category_id'] == box['category_id'] for a in things])
    best = int(overlaps.argmax())
    kind: Kind = 'nothing there'
    if (overlaps[own] >= iou).any():
        kind = 'double'
        best = int(np.where(own, overlaps, -1).argmax())
    elif overlaps[best] >= iou:
        kind = 'other class'
    elif overlaps[best] >= _NOTHING:
        kind = 'misplaced'
    return _mistake(box, kind, float(overlaps[best]),
                    things[best]['category_id'] - 1 if overlaps[best] > 0 else None)


def _mistake(annotation: dict[str, Any], kind: Kind, overlap: float = 0.0,
             other: int | None = None) -> BoxMistake:
    x, y, width, height = annotation['bbox']
    return BoxMistake(annotation['image_id'] - 1, annotation['category_id'] - 1,
                      (x, y, x + width, y + height), kind, annotation.get('score'), overlap, other)


def _label(coco: COCO, annotation: int) -> int:
    return coco.anns[annotation]['category_id'] - 1


def _area(box: Sequence[float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _objects(truth: RenumberedCOCO, image: int, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels (n,) and boxes (n, 4) as x1, y1, x2, y2 of the objects of an image that count."""
    things = [a for a in truth.imgToAnns[image]
              if not a['iscrowd'] and a['category_id'] <= num_classes]
    boxes = np.array([a['bbox'] for a in things], float).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return np.array([a['category_id'] - 1 for a in things], int), boxes
