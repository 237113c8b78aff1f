"""Segmentations: legal forms go on, anything else is refused; see also test_compressed_rle.py."""

import math

import pytest

from tresnet_mm.datasets.annotations import clean_segmentation, with_clean_mask
from tresnet_mm.datasets.annotations.coco_segmentation import _decompress


@pytest.mark.parametrize('segmentation, clean', [
    ([[0, 0, 4, 0, 4, 4]], [[0, 0, 4, 0, 4, 4]]),
    ([[0, 0, 4, 0, 4, 4], [1, 1, 2, 2]], [[0, 0, 4, 0, 4, 4]]),  # a box for pycocotools
    ([[-3.5, 0, 12, 0, 12, 9.5]], [[-3.5, 0, 12, 0, 12, 9.5]]),  # partly outside
    ([[0, 0, 4, 0, 4, 4, 0, 4]], [[0, 0, 4, 0, 4, 4, 0, 4]]),
    ([[-16, 0, 16, 0, 4, 4]], [[-16, 0, 16, 0, 4, 4]]),  # its own size around it, not more
    ([[]], None),
    ([], None),
    ([[1, 1, 2, 2]], None),
])
def test_polygons(segmentation, clean):
    assert clean_segmentation(segmentation, 8, 8) == clean


@pytest.mark.parametrize('height, width', [(4, 8), (8, 4)])
def test_the_longer_side_says_how_far_polygons_may_reach(height, width):
    legal = [[-16, -16, 16, -16, 16, 16]]
    assert clean_segmentation(legal, height, width) == legal
    for value in (-16.5, 16.5):
        with pytest.raises(ValueError, match=f'reaches far beyond its image of {width} x {height}'):
            clean_segmentation([[value, 0, 4, 0, 4, 4]], height, width)


@pytest.mark.parametrize('segmentation, message', [
    ([0, 0, 4, 0, 4, 4], 'flat list'),
    ([0, 0.5, 4, 0, 4, 4], 'flat list'),
    ([[[0, 0], [4, 0], [4, 4]]], 'pairs'),
    ([[0, 0, 4, 0, 4, 4, 1]], 'odd number'),
    ([[0, 0, 4, 0, 4, 4, 1, 1, 2]], 'odd number'),
    ([[0, 0, 4, 0, 4, '4']], 'something else than numbers'),
    ([[0, 0, 4, 0, 4, None]], 'something else than numbers'),
    ([[0, 0, 4, 0, 4, True]], 'something else than numbers'),
    ([[0, 0, 4, 0, 4, math.nan]], 'far beyond'),
    ([[0, 0, 4, 0, 4, 10**400]], 'far beyond'),
    ([[math.nan, 10**400, 4, 0, 4, 4]], 'far beyond'),
    ([[math.nan, math.inf, -math.inf, 0, 4, 4]], 'far beyond'),
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
    (dict(size=[8, 8], counts='1o'), 'cannot be read'),
    (dict(size=[4, 16], counts=[64]), r'of size \[4, 16\], its image is \[8, 8\]'),
    (dict(size=[8, 8], counts='\u20ac'), 'not ASCII'),
])
def test_illegal_forms(segmentation, message):
    with pytest.raises(ValueError, match=message):
        clean_segmentation(segmentation, 8, 8)


@pytest.mark.parametrize('counts', [[64], [0, 64], [60, 4], 'P2', '0P2'])
def test_run_lengths_that_fill_the_image(counts):
    rle = dict(size=[8, 8], counts=counts)
    assert clean_segmentation(rle, 8, 8) is rle


@pytest.mark.parametrize('text, runs', [
    ('', []),
    ('1', [1]),
    ('P1', [32]),  # the first character: its low bits, which are zero, and "goes on"
    ('o0', [31]),
    ('PP1', [1 << 10]),
    ('PPPPPPP1', [1 << 35]),
    ('5554', [5, 5, 5, 9]),  # from the fourth on: differences to the last but one
    ('555O1', [5, 5, 5, 4, 6]),
    ('1X11oN', [1, 40, 1, 7]),
])
def test_decompressed(text, runs):
    assert _decompress(text) == runs


@pytest.mark.parametrize('text', ['/', '1/', 'p1', 'P', '1P', 'PPPPPPPP1'])
def test_text_that_is_no_run_lengths(text):
    with pytest.raises(ValueError, match='^is a compressed RLE that cannot be read$'):
        _decompress(text)


IMAGE = dict(id=4, height=8, width=8)
ANNOTATION = dict(id=1, image_id=4, bbox=[1, 2, 4, 3], iscrowd=0)


def test_annotation_gets_its_clean_mask():
    triangle = [0, 0, 4, 0, 4, 4]
    annotation = dict(ANNOTATION, segmentation=[triangle, [1, 1, 2, 2]])
    assert with_clean_mask(annotation, IMAGE, 'x.json') == (
        dict(ANNOTATION, segmentation=[triangle]), True)
    assert annotation['segmentation'] == [triangle, [1, 1, 2, 2]]  # is shared: not changed


def test_object_without_an_area_becomes_a_region_to_ignore():
    annotation = dict(ANNOTATION, segmentation=[])
    assert with_clean_mask(annotation, IMAGE, 'x.json') == (
        dict(ANNOTATION, segmentation=[[1, 2, 5, 2, 5, 5, 1, 5]], iscrowd=1), False)
    assert annotation == dict(ANNOTATION, segmentation=[])


@pytest.mark.parametrize('fields, message', [
    ({}, "has no 'segmentation', and masks are asked for"),
    (dict(segmentation=None), "has no 'segmentation', and masks are asked for"),
    (dict(segmentation=3), 'segmentation should be a list of polygons or an RLE, got int'),
])
def test_message_names_file_and_annotation(fields, message):
    with pytest.raises(ValueError) as error:
        with_clean_mask(dict(ANNOTATION, **fields), IMAGE, 'x.json')
    assert str(error.value).startswith(f'x.json: annotation 1 of image 4: {message}'.replace(
        ': has', ' has'))
