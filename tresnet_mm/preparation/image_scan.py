"""All images of own data, read once, one at a time."""
from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..datasets import LoadImageChecked
from .near_duplicates import image_hash, near_duplicates
from .source_data import SourceData


@dataclass(frozen=True)
class ImageScan:
    """What the pixels and bytes of the images tell; lists of indices into ``data.images``."""

    unreadable: list[tuple[int, str]]
    """Images that cannot be decoded, with the reason."""
    copies: list[list[int]]
    """Groups of files with the same bytes."""
    alike: list[list[int]]
    """Groups of images that look the same, copies among them."""


def scan_images(data: SourceData) -> ImageScan:
    """Decode each image as training will, and compare them all; one is in memory at a time."""
    load = LoadImageChecked()
    unreadable, read = [], []
    hashes: list[np.ndarray] = []
    files: dict[bytes, list[int]] = defaultdict(list)
    for index, image in enumerate(data.images):
        record: dict[str, Any] = dict(img_path=str(image.file))
        if image.boxes is not None:  # they hold for one size
            record.update(width=image.width, height=image.height)
        try:
            pixels = load(record)['img']
            digest = hashlib.sha256(image.file.read_bytes()).digest()
        except (OSError, ValueError) as error:
            unreadable.append((index, str(error)))
            continue
        files[digest].append(index)
        read.append(index)
        hashes.append(image_hash(np.ascontiguousarray(pixels[..., ::-1])))
    alike = near_duplicates(np.array(hashes).reshape(len(hashes), -1))
    return ImageScan(unreadable, sorted(same for same in files.values() if len(same) > 1),
                     [[read[place] for place in group] for group in alike])
