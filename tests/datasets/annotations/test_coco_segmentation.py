"""Segmentations: a legal form means what pycocotools makes of it, anything else is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from tresnet_mm.datasets.annotations import clean_segmentation
from tresnet_mm.datasets.annotations.coco_segmentation import _decompress


@given(st.integers(1, 60), st.integers(1, 60), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_run_lengths_are_those_of_pycocotools(height, width, share, seed):
    pixels = np.random.default_rng(seed).random((height, width)) < share
    rle = coco_mask.encode(np.asfortranarray(pixels.astype(np.uint8)))
    text = rle['counts'].decode()
    runs = _decompress(text)
    assert sum(runs) == height * width
    back = np.concatenate([np.full(run, i % 2) for i, run in enumerate(runs)])
    assert np.array_equal(back.reshape(width, height).T, pixels)
    for counts in (text, runs):
        segmentation = dict(size=[height, width], counts=counts)
        assert clean_segmentation(segmentation, height, width) == segmentation


@given(st.text(st.characters(min_codepoint=40, max_codepoint=120), max_size=30))
def test_any_text_is_safe_for_pycocotools_or_refused(text):
    """What is let through fills its image exactly, so nothing is written past it."""
    rle = dict(size=[16, 16], counts=text)
    try:
        clean_segmentation(rle, 16, 16)
    except ValueError:
        return
    assert coco_mask.decode(dict(rle, counts=text.encode())).shape == (16, 16)


@pytest.mark.parametrize('segmentation, clean', [
    ([[0, 0, 4, 0, 4, 4]], [[0, 0, 4, 0, 4, 4]]),
    ([[0, 0, 4, 0, 4, 4], [1, 1, 2, 2]], [[0, 0, 4, 0, 4, 4]]),  # a box for pycocotools
    ([[-3.5, 0, 12, 0, 12, 9.5]], [[-3.5, 0, 12, 0, 12, 9.5]]),  # partly outside
    ([[]], None),
    ([], None),
    ([[1, 1, 2, 2]], None),
])
def test_polygons(segmentation, clean):
    assert clean_segmentation(segmentation, 8, 8) == clean


@pytest.mark.parametrize('segmentation, message', [
    ([0, 0, 4, 0, 4, 4], 'flat list'),
    ([[[0, 0], [4, 0], [4, 4]]], 'pairs'),
    ([[0, 0, 4, 0, 4, 4, 1]], 'odd number'),
    ([[0, 0, 4, 0, 4, '4']], 'something else than numbers'),
    ([[0, 0, 4, 0, 4, None]], 'something else than numbers'),
    ([[0, 0, 4, 0, 4, True]], 'something else than numbers'),
    ([[0, 0, 4, 0, 4, float('nan')]], 'far beyond'),
    ([[0, 0, 4, 0, 4, 10**400]], 'far beyond'),
    ([[0, 0, 1e300, -1e300, 4, 4]], 'far beyond'),
    ([dict(size=[8, 8])], 'each a list of numbers'),
    ('polygon', 'got str'),
    (True, 'got bool'),
    (dict(size=[8, 8]), 'neither a list'),
    (dict(size=[8, 8], counts=[64.0]), 'neither a list'),
    (dict(size=[8, 8], counts=[True] * 64), 'neither a list'),
    (dict(size=[8, 8], counts=[65]), 'do not add up'),
    (dict(size=[8, 8], counts=[-1, 65]), 'do not add up'),
    (dict(size=[8, 8], counts=[]), 'do not add up'),
    (dict(counts=[64]), 'size None'),
    (dict(size='88', counts=[64]), "size '88'"),
    (dict(size=[8, 8], counts=''), 'do not add up'),
    (dict(size=[8, 8], counts='oooooooooooooooo0'), 'cannot be read'),
    (dict(size=[8, 8], counts='oo'), 'cannot be read'),
    (dict(size=[8, 8], counts='\u20ac'), 'not ASCII'),
])
def test_illegal_forms(segmentation, message):
    with pytest.raises(ValueError, match=message):
        clean_segmentation(segmentation, 8, 8)
