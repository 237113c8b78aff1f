"""Resizing by PyTorch's filter: the pixels of Pillow's to one level, whatever the image."""

import numpy as np
import pytest
from mmcv.transforms import Resize
from PIL import Image

from tresnet_mm.datasets import AntialiasResize
from tresnet_mm.datasets.antialias_resize import resize_antialiased


def by_pillow(img: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Channel by channel, since Pillow has no image of any number of them."""
    planes = [np.asarray(Image.fromarray(np.ascontiguousarray(plane)).resize(
        size, Image.Resampling.BILINEAR)) for plane in np.atleast_3d(img).transpose(2, 0, 1)]
    return np.stack(planes, -1).reshape(size[1], size[0], *img.shape[2:])


def levels_apart(img: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    resized = resize_antialiased(img, size)
    expected = by_pillow(img, size)
    assert resized.shape == expected.shape
    assert resized.dtype == np.uint8
    assert resized.flags.c_contiguous
    assert resized.flags.writeable
    return np.abs(resized.astype(int) - expected)


@pytest.mark.parametrize('shape', [
    (97, 131, 3), (1, 1, 3), (2, 3, 3), (5, 700, 3), (2500, 33, 3),  # tiny, thin
    (97, 131), (97, 131, 1), (97, 131, 2), (97, 131, 4)])  # grey, and with alpha
@pytest.mark.parametrize('size', [(32, 24), (224, 224), (1, 1), (7, 150)])
def test_pixels_of_pillow_to_one_level(shape, size):
    img = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    assert levels_apart(img, size).max() <= 1


@pytest.mark.parametrize('side', [224, 448, 640])
def test_photographs(coco_tiny, side):
    paths = sorted((coco_tiny / 'val2017').iterdir())[:12]
    apart = [levels_apart(np.asarray(Image.open(path).convert('RGB')), (side, side))
             for path in paths]
    assert max(levels.max() for levels in apart) <= 1
    assert np.mean([levels.mean() for levels in apart]) < 0.01


@pytest.mark.parametrize('view', [
    lambda img: img[:, ::-1], lambda img: img[..., ::-1], lambda img: img[3:40, 5:60],
    lambda img: img.transpose(1, 0, 2), lambda img: img[..., :1][..., ::-1],
    lambda img: img[:1][::-1]])
def test_views(view):
    img = view(np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8))
    assert levels_apart(img, (32, 24)).max() <= 1


def test_an_image_that_may_not_be_written_stays_as_it_is(recwarn):
    img = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    img.flags.writeable = False
    resized = resize_antialiased(img, (8, 8))
    assert np.array_equal(resized, img)
    assert not np.shares_memory(resized, img)
    assert not recwarn.list


@pytest.mark.parametrize('kwargs', [
    dict(scale=(32, 24)), dict(scale=16), dict(scale_factor=0.5), dict(scale_factor=(0.5, 0.25)),
    dict(scale=(50, 20), keep_ratio=True)])
def test_keys_and_boxes_of_mmcv(kwargs):
    img = np.random.default_rng(0).integers(0, 256, (97, 131, 3), dtype=np.uint8)
    boxes = np.array([[3., 4., 60., 95.], [100., 0., 140., 97.]], np.float32)
    seg = np.arange(97 * 131, dtype=np.uint8).reshape(97, 131)

    def record() -> dict:
        return dict(img=img, img_shape=img.shape[:2], gt_bboxes=boxes.copy(), gt_seg_map=seg)

    ours = AntialiasResize(**kwargs)(record())
    expected = Resize(backend='pillow', **kwargs)(record())
    assert np.abs(ours.pop('img').astype(int) - expected.pop('img')).max() <= 1
    assert ours.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_array_equal(ours[key], value, err_msg=key)


def test_what_is_refused():
    with pytest.raises(ValueError, match="no 'backend', got 'cv2'"):
        AntialiasResize((8, 8), backend='cv2')
    with pytest.raises(ValueError, match="no 'interpolation', got 'bicubic'"):
        AntialiasResize((8, 8), interpolation='bicubic')
    with pytest.raises(ValueError, match='only uint8 images .* got float32'):
        AntialiasResize((8, 8))(dict(img=np.zeros((4, 4, 3), np.float32)))
    assert repr(AntialiasResize((8, 6))) == (
        'AntialiasResize(scale=(8, 6), scale_factor=None, keep_ratio=False, '
        'clip_object_border=True)')
