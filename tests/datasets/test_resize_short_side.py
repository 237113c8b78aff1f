"""Resizing by the shorter side: the sizes and pixels of Pillow's filter."""

import numpy as np
import pytest
from PIL import Image

from tresnet_mm.datasets.resize_short_side import ResizeShortSide


def image(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(('before', 'after'), [
    ((20, 31), (8, 12)),  # 12.4, rounded down
    ((33, 20), (13, 8)),  # 13.2
    ((39, 20), (15, 8)),  # 15.6: mmcv's own rounds to 16
    ((4, 4), (8, 8))])
def test_the_longer_side_is_rounded_down(before, after):
    pixels = image(*before)
    results = ResizeShortSide(8).transform(dict(img=pixels))
    assert results['img_shape'] == results['img'].shape[:2] == after
    assert results['scale_factor'] == (after[1] / before[1], after[0] / before[0])
    expected = Image.fromarray(pixels).resize(after[::-1], Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(results['img'], np.asarray(expected))


def test_an_image_of_the_right_size_stays_as_it_is():
    pixels = image(8, 12)
    results = ResizeShortSide(8).transform(dict(img=pixels))
    assert results['img'] is pixels
    assert (results['scale_factor'], results['keep_ratio']) == ((1, 1), True)


@pytest.mark.parametrize('side', [0, -8, 8.0, '8'])
def test_the_side_is_a_positive_number(side):
    with pytest.raises(ValueError, match='side must be a positive integer'):
        ResizeShortSide(side)
