"""What a source of own data holds, whatever its format: images with boxes, labels, or both.

Readers make it, and split, report and writers take it; they know no format.
"""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


class Box(NamedTuple):
    """An object of an image."""

    label: int
    """Index into `SourceData.classes`."""
    x: float
    """Left edge in pixels, COCO's way: 0 is the left border of the image."""
    y: float
    """Upper edge in pixels."""
    width: float
    height: float
    ignore: bool = False
    """COCO's crowds and VOC's difficult objects: neither right nor wrong when found."""


@dataclass(frozen=True)
class SourceImage:
    """An image and what is known of it."""

    file: Path
    """Where it lies: absolute."""
    name: str
    """Its path below `SourceData.image_root`, with slashes; no two images have one name."""
    width: int
    """In pixels, as it is shown (EXIF orientation applied)."""
    height: int
    boxes: tuple[Box, ...] | None
    """None: nobody has drawn boxes here. Empty: there are no objects."""
    labels: frozenset[int] | None
    """Indices into `SourceData.classes` of the labels that are there; None: nobody has looked."""
    unknown: frozenset[int] = frozenset()
    """Classes nobody has looked for in this image."""
    part: str | None = None
    """'train', 'val' or 'test' where the source has a split."""


@dataclass(frozen=True)
class SourceData:
    """A source of own data, read."""

    format: str
    """'voc', 'yolo', 'coco', 'table' or 'folders'."""
    image_root: Path
    """Absolute; every image lies below it."""
    classes: tuple[str, ...]
    images: tuple[SourceImage, ...]
    notes: tuple[str, ...] = ()
    """What was told apart, left out or mended while reading, a sentence each, with counts."""
