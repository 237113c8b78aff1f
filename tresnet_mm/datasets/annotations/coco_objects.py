"""Which objects of a COCO file a detector learns, and why it does not learn the others."""
from __future__ import annotations

from collections import Counter
from collections.abc import Container, Sequence
from typing import Any, NamedTuple

from .coco_file import CocoFile


class ObjectCounts(NamedTuple):
    """What a detector gets to see of a file.

    Attributes:
        learnt: Objects to learn by class, every class being there.
        crowds: Objects of crowds (``iscrowd``), which are regions to ignore.
        left_out: Annotations that are left out, by reason.
    """

    learnt: Counter[str]
    crowds: int
    left_out: Counter[str]


def drop_reason(annotation: dict[str, Any], image: dict[str, Any],
                category_ids: Container[int | str]) -> str:
    """Why mmdet leaves an annotation out of training; empty if it does not.

    Args:
        annotation: Its entry, with box and area.
        image: The entry of its image, with its size.
        category_ids: Those that are used.
    """
    x, y, w, h = annotation['bbox']
    if annotation.get('ignore'):
        return 'marked ignore'
    if w < 0 or h < 0:
        return 'with a negative size'
    if w < 1 or h < 1 or annotation['area'] <= 0:
        return 'smaller than one pixel'
    if x >= image['width'] or y >= image['height'] or x + w <= 0 or y + h <= 0:
        return 'outside their image'
    if annotation['category_id'] not in category_ids:
        return 'of a category that is not used'
    return ''


def count_objects(file: CocoFile, classes: Sequence[str] | None = None) -> ObjectCounts:
    """Count what ``CheckedCocoDataset`` makes of a file, without building it.

    Args:
        file: The file.
        classes: ``metainfo['classes']``; None for all categories of the file.

    Raises:
        ValueError: As `CocoFile.require_boxes` and `CocoFile.category_ids`.
    """
    file.require_boxes()
    names = file.classes if classes is None else tuple(classes)
    name_of = dict(zip(file.category_ids(classes), names, strict=True))
    learnt, left_out = Counter(dict.fromkeys(names, 0)), Counter[str]()
    crowds, strays = 0, len(file.strays())
    if strays:
        left_out['of an image that is not listed'] = strays
    for image in file.images:
        for annotation in file.annotations_of[image['id']]:
            reason = drop_reason(annotation, image, name_of)
            if reason:
                left_out[reason] += 1
            elif annotation.get('iscrowd'):
                crowds += 1
            else:
                learnt[name_of[annotation['category_id']]] += 1
    return ObjectCounts(learnt, crowds, left_out)
