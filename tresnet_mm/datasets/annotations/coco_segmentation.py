"""Segmentations of a COCO file, every legal and illegal form of them."""
from __future__ import annotations

import math
from itertools import chain
from typing import Any

import numpy as np

_NUMBERS = {int, float}


def clean_segmentation(segmentation: Any, height: int, width: int) -> list | dict | None:
    """See that a segmentation is of COCO's form for an image of this size.

    Legal are a list of polygons, each ``[x1, y1, x2, y2, ...]``; an uncompressed RLE,
    ``dict(size=[height, width], counts=[...])``; a compressed one, whose counts are text.
    pycocotools reads four numbers as a box and writes past its memory where counts do not add up
    to the image, so nothing else may reach it.

    Returns:
        The segmentation, polygons of less than three points left out of it; None if that leaves
        none (an object without an area).

    Raises:
        ValueError: What is wrong with it, without file and entry.
    """
    if isinstance(segmentation, list):
        return _clean_polygons(segmentation, height, width)
    if isinstance(segmentation, dict):
        _check_rle(segmentation, height, width)
        return segmentation
    raise ValueError(f'should be a list of polygons or an RLE, got {type(segmentation).__name__}')


def with_clean_mask(annotation: dict, image: dict, path: str) -> tuple[dict, bool]:
    """The annotation with its clean segmentation.

    An object without an area in it becomes a region to ignore, that of its box, for training and
    evaluation alike: there is something, and nobody can say of what shape.

    Args:
        annotation: Entry of the annotation.
        image: Entry of its image.
        path: The annotation file, for messages.

    Returns:
        A copy of the annotation, and whether it has a mask to learn or to be measured by.

    Raises:
        ValueError: The annotation has none, or not one of COCO's form.
    """
    which = f'{path}: annotation {annotation["id"]!r} of image {annotation["image_id"]!r}'
    if annotation.get('segmentation') is None:
        raise ValueError(f"{which} has no 'segmentation', and masks are asked for")
    try:
        mask = clean_segmentation(annotation['segmentation'], image['height'], image['width'])
    except ValueError as error:
        raise ValueError(f'{which}: segmentation {error}') from None
    if mask is not None:
        return dict(annotation, segmentation=mask), True
    x, y, w, h = annotation['bbox']
    box = [[x, y, x + w, y, x + w, y + h, x, y + h]]
    return dict(annotation, segmentation=box, iscrowd=1), False


def _clean_polygons(polygons: list, height: int, width: int) -> list | None:
    kinds = set(map(type, polygons))
    if kinds <= _NUMBERS and polygons:
        raise ValueError('is one flat list of numbers: meant is a list of polygons, [[x1, ...]]')
    if not kinds <= {list}:
        raise ValueError('should be a list of polygons, each a list of numbers')
    values = list(chain.from_iterable(polygons))
    kinds = set(map(type, values))
    if list in kinds:
        raise ValueError('has points as pairs: a polygon is meant as [x1, y1, x2, y2, ...]')
    if not kinds <= _NUMBERS:
        raise ValueError('has something else than numbers in a polygon')
    if any(len(polygon) % 2 for polygon in polygons):
        raise ValueError('has a polygon with an odd number of values')
    if values:
        try:
            finite = math.isfinite(math.fsum(values))
        except (OverflowError, ValueError):
            finite = False
        # Beyond an image's own size around it: filling such a polygon can take all memory.
        reach = 2 * max(height, width)
        if not finite or min(values) < -reach or max(values) > reach:
            raise ValueError(f'reaches far beyond its image of {width} x {height}')
    usable = [polygon for polygon in polygons if len(polygon) >= 6]
    return usable or None


def _check_rle(rle: dict, height: int, width: int) -> None:
    size, counts = rle.get('size'), rle.get('counts')
    if size != [height, width]:
        raise ValueError(f'is an RLE of size {size!r:.60}, its image is [{height}, {width}] '
                         '(height, width)')
    if isinstance(counts, str):
        counts = _decompress(counts)
    elif not isinstance(counts, list) or not set(map(type, counts)) <= {int}:
        raise ValueError('is an RLE whose counts are neither a list of integers nor text')
    if counts and min(counts) < 0 or sum(counts) != height * width:
        raise ValueError(f'is an RLE whose counts do not add up to its image of {width} x {height}')


def _decompress(text: str) -> list[int]:
    """Run lengths of a compressed RLE: six bits a character, low ones first, differences."""
    try:
        codes = np.frombuffer(text.encode('ascii'), np.uint8).astype(np.int64) - 48
    except UnicodeEncodeError:
        raise ValueError('is a compressed RLE with characters that are not ASCII') from None
    if len(codes) == 0:
        return []
    ends = np.flatnonzero(codes < 32)
    if codes.min() < 0 or codes.max() > 63 or ends.size == 0 or ends[-1] != len(codes) - 1:
        raise ValueError('is a compressed RLE that cannot be read')
    starts = np.concatenate([[0], ends[:-1] + 1])
    places = np.arange(len(codes)) - np.repeat(starts, ends - starts + 1)
    if places.max() > 7:  # 40 bits: no image is so large
        raise ValueError('is a compressed RLE that cannot be read')
    values = np.add.reduceat((codes & 31) << (5 * places), starts)
    negative = (codes[ends] & 16) != 0
    values[negative] -= 1 << (5 * (places[ends[negative]] + 1))
    runs = values.tolist()
    for i in range(3, len(runs)):
        runs[i] += runs[i - 2]
    return runs
