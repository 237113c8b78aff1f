"""What a split keeps even: the classes in an image, and how many of each."""
from __future__ import annotations

from collections import Counter

from .source_data import SourceImage


def image_traits(image: SourceImage) -> set[tuple[object, ...]]:
    """The traits of an image.

    A label is a trait, and for boxes of a class: at least one, two, four, eight ... of them. So the
    parts of a split get their share of the images with a class and, near enough, of its boxes. An
    image with nothing in it, and one nobody has looked at, have a trait of their own.

    Returns:
        Tuples that can be compared; never empty.
    """
    traits: set[tuple[object, ...]] = {('label', label) for label in image.labels or ()}
    for label, number in Counter(box.label for box in image.boxes or ()).items():
        traits.update(('boxes', label, 2 ** power) for power in range(number.bit_length()))
    return traits or {('empty', image.boxes is None, image.labels is None)}
