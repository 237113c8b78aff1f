"""Own data in numbers."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .source_data import SourceData, SourceImage

#: COCO's limits between small, medium and large boxes, in pixels.
SMALL, LARGE = 32 ** 2, 96 ** 2


def present(image: SourceImage) -> set[int]:
    """Classes in an image, by its labels and boxes."""
    return set(image.labels or ()) | {box.label for box in image.boxes or ()}


def image_counts(data: SourceData, members: Sequence[int]) -> list[int]:
    """Images with each class."""
    counts = [0] * len(data.classes)
    for index in members:
        for label in present(data.images[index]):
            counts[label] += 1
    return counts


def box_counts(data: SourceData, members: Sequence[int]) -> list[int]:
    """Boxes of each class, those to be ignored left out."""
    counts = [0] * len(data.classes)
    for index in members:
        for box in data.images[index].boxes or ():
            counts[box.label] += not box.ignore
    return counts


def size_counts(data: SourceData, members: Sequence[int],
                scale: tuple[int, int] | None = None) -> list[int]:
    """Small, medium and large boxes by COCO's areas.

    Args:
        data: The source.
        members: Indices into ``data.images``.
        scale: Long and short side that each image is made to fit, its aspect kept; None: as it is.
    """
    counts = [0, 0, 0]
    for index in members:
        image = data.images[index]
        long, short = max(image.width, image.height), min(image.width, image.height)
        factor = min(max(scale) / long, min(scale) / short) if scale else 1.0
        for box in image.boxes or ():
            area = box.width * box.height * factor ** 2
            if not box.ignore:
                counts[0 if area < SMALL else 1 if area < LARGE else 2] += 1
    return counts


def together(data: SourceData) -> np.ndarray:
    """(C, C): share of the images with the row's class that have the column's; NaN without any."""
    counts = np.zeros((len(data.classes),) * 2)
    for image in data.images:
        labels = sorted(present(image))
        counts[np.ix_(labels, labels)] += 1
    with np.errstate(invalid='ignore'):
        return counts / np.diag(counts)[:, None]
