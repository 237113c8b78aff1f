"""Compressed RLEs: what is let through means what pycocotools makes of it, and is safe for it."""

import numpy as np
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
