"""The numbers of a data set that a config depends on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .source_data import SourceData, SourceImage


@dataclass(frozen=True)
class Measures:
    """What the training images are like. Sizes are medians or percentiles, in pixels."""

    images: int
    short_side: float
    """Median of the images' short sides."""
    aspect: float
    """95th percentile of long side / short side; >= 1."""
    usual_aspect: float
    """Median of long side / short side; >= 1."""
    objects: int
    """Boxes to learn from: not ignored ones."""
    empty: int
    """Images that were looked at and hold no object."""
    small_object: float
    """10th percentile of sqrt(width * height) / the image's short side; 0 without objects."""
    large_object: float
    """99th percentile of the longer side of an object / the image's short side."""
    most_objects: int
    """Objects of the fullest image."""
    positives: float
    """Share of (image, class) pairs with known labels in which the class is there, 0 to 1."""


def labels_of(image: SourceImage) -> frozenset[int] | None:
    """Classes that are in an image, by its labels or else its boxes; None: nobody has looked."""
    if image.labels is not None:
        return image.labels
    if image.boxes is None:
        return None
    return frozenset(box.label for box in image.boxes if not box.ignore)


def measure(data: SourceData, images: Sequence[SourceImage]) -> Measures:
    """Measure the training images of a source.

    Raises:
        ValueError: There are none.
    """
    if not images:
        raise ValueError('the training part holds no image')
    short = np.array([min(image.width, image.height) for image in images], float)
    long = np.array([max(image.width, image.height) for image in images], float)
    objects = [(box, min(image.width, image.height)) for image in images
               for box in image.boxes or () if not box.ignore]
    small = [(box.width * box.height) ** 0.5 / side for box, side in objects]
    large = [max(box.width, box.height) / side for box, side in objects]
    known = [labels for labels in map(labels_of, images) if labels is not None]
    positives = sum(map(len, known))
    pairs = sum(len(data.classes) - len(image.unknown) for image in images
                if labels_of(image) is not None)
    return Measures(
        images=len(images),
        short_side=float(np.median(short)),
        aspect=float(np.percentile(long / short, 95)),
        usual_aspect=float(np.median(long / short)),
        objects=len(objects),
        empty=sum(image.boxes is not None and not any(not box.ignore for box in image.boxes)
                  for image in images),
        small_object=float(np.percentile(small, 10)) if small else 0.0,
        large_object=float(np.percentile(large, 99)) if large else 0.0,
        most_objects=max(sum(not box.ignore for box in image.boxes or ()) for image in images),
        positives=positives / pairs if pairs else 0.0)
