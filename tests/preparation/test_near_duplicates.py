"""Images that look the same: what counts and what does not."""
import io

import numpy as np
import pytest
from PIL import Image

from tresnet_mm.preparation.near_duplicates import BANDS, image_hash, near_duplicates


def picture(seed, size=(240, 180)):
    """A smooth scene of random colours."""
    noise = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def recompressed(image, quality=30):
    file = io.BytesIO()
    image.save(file, 'JPEG', quality=quality)
    return Image.open(file).convert('RGB')


def hashes(*images):
    return np.array([image_hash(np.asarray(image)) for image in images])


@pytest.mark.parametrize('seed', range(8))
def test_resized_and_recompressed_are_the_same_and_flipped_is_not(seed):
    image = picture(seed)
    flipped = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    found = near_duplicates(hashes(picture(99), image, flipped, image.resize((100, 75)),
                                   recompressed(image), picture(100)))
    assert found == [[1, 3, 4]]


def test_groups_are_those_of_comparing_all_pairs():
    draw = np.random.default_rng(0)
    bits = draw.integers(0, 2, (40, 128), np.uint8)
    near = np.repeat(bits, 3, axis=0)
    for row in near:  # up to twice the limit from each other
        row[draw.choice(128, draw.integers(0, BANDS), replace=False)] ^= 1
    packed = np.packbits(near, axis=1).view(np.uint16)
    close = (near[:, None] != near[None]).sum(axis=2) < BANDS
    while True:  # the closure, by brute force
        wider = (close.astype(int) @ close.astype(int)) > 0
        if (wider == close).all():
            break
        close = wider
    expected = sorted({tuple(np.flatnonzero(row).tolist()) for row in close if row.sum() > 1})
    assert len(expected) > 10
    assert near_duplicates(packed) == [list(group) for group in expected]


def test_no_images_and_many_equal_ones():
    assert near_duplicates(np.zeros((0, 0), np.uint16)) == []
    assert near_duplicates(np.zeros((5000, 8), np.uint16)) == [list(range(5000))]
