"""Images that look the same: copies, resized, compressed again."""
from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from PIL import Image

#: Two images with fewer differing bits of 128 look the same. Also the number of bands that a hash
#: is cut into: with fewer differing bits than bands, one band at least is equal.
BANDS = 8
#: Pairs that are compared at a time.
_CHUNK = 1 << 17
#: Set bits of each 16-bit number.
_ONES = np.unpackbits(np.arange(1 << 16, dtype=np.uint16).view(np.uint8)).reshape(-1, 16).sum(
    axis=1, dtype=np.uint8)


def image_hash(image: np.ndarray) -> np.ndarray:
    """Whether it gets brighter, to the right and downwards, on a coarse grid (a "dHash").

    Resizing, compression and changes of brightness leave nearly all of it as it is; a mirrored
    image has another one.

    Args:
        image: uint8 (H, W, 3).

    Returns:
        uint16 (8,): 128 bits.
    """
    grey = Image.fromarray(image).convert('L')
    right = np.asarray(grey.resize((9, 8), Image.Resampling.BOX), np.int16)
    down = np.asarray(grey.resize((8, 9), Image.Resampling.BOX), np.int16)
    brighter = np.diff(right, axis=1) > 0, np.diff(down, axis=0) > 0
    return np.packbits(np.concatenate([bits.ravel() for bits in brighter])).view(np.uint16)


def near_duplicates(hashes: np.ndarray) -> list[list[int]]:
    """Groups of images that look the same.

    Equal hashes are taken together first; then only hashes with an equal band are compared, which
    finds all pairs. An image belongs to a group if it is like one of its images.

    Args:
        hashes: uint16 (N, 8), as of `image_hash`.

    Returns:
        Lists of two or more rising indices, in the order of the first.
    """
    if not len(hashes):
        return []
    unique, member = np.unique(hashes, axis=0, return_inverse=True)
    parent = list(range(len(unique)))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    for band in range(BANDS):
        for first, second in _pairs(unique[:, band]):
            differing = _ONES[unique[first] ^ unique[second]].sum(axis=1)
            for pair in np.flatnonzero(differing < BANDS):
                parent[root(int(second[pair]))] = root(int(first[pair]))
    groups = defaultdict(list)
    for index, place in enumerate(member.ravel()):
        groups[root(int(place))].append(index)
    return sorted(group for group in groups.values() if len(group) > 1)


def _pairs(values: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """All pairs of places with one value, in pieces of at most about `_CHUNK`."""
    order = np.argsort(values, kind='stable')
    ordered = values[order]
    ends = np.searchsorted(ordered, ordered, side='right')
    for step in range(1, int((ends - np.arange(len(ends))).max())):
        places = np.flatnonzero(np.arange(len(ends)) + step < ends)
        for start in range(0, len(places), _CHUNK):
            piece = places[start:start + _CHUNK]
            yield order[piece], order[piece + step]
