"""Fast operations on colours: the pixels of mmdet's, to the bit."""

import mmdet.datasets.transforms as theirs
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import TRANSFORMS, init_default_scope

import tresnet_mm.datasets as ours

RNG = np.random.default_rng(0)
IMAGES = {
    'noise': RNG.integers(0, 256, (60, 80, 3), dtype=np.uint8),
    'few levels': RNG.integers(40, 90, (31, 17, 3), dtype=np.uint8),
    'smooth': np.linspace(3, 240, 50 * 70 * 3).reshape(50, 70, 3).astype(np.uint8),
    'one colour': np.full((30, 20, 3), (0, 100, 255), np.uint8),
    'one pixel': np.full((1, 1, 3), 9, np.uint8),
    'every level': np.tile(np.arange(256, dtype=np.uint8)[:, None, None], (1, 4, 3)),
    'mirrored': RNG.integers(0, 256, (60, 80, 3), dtype=np.uint8)[:, ::-1],
}
BLENDS = np.arange(1, 20) / 10  # the magnitudes that mmdet draws
MAGNITUDES = {'AutoContrast': [1.], 'Equalize': [1.], 'Contrast': BLENDS, 'Brightness': BLENDS,
              'Sharpness': BLENDS, 'Solarize': np.arange(0, 260, 3.3)}


@pytest.mark.parametrize('image', IMAGES)
@pytest.mark.parametrize('name', MAGNITUDES)
def test_pixels_of_mmdet(name, image):
    fast, plain = getattr(ours, f'Fast{name}')(prob=1.0), getattr(theirs, name)(prob=1.0)
    img = IMAGES[image]
    before = img.copy()
    for magnitude in map(float, MAGNITUDES[name]):
        results = []
        for operation in (fast, plain):
            record = dict(img=img)
            operation._transform_img(record, magnitude)
            results.append(record['img'])
        assert np.array_equal(*results), magnitude
        assert results[0].dtype == np.uint8
        assert results[0].shape == img.shape
    assert np.array_equal(img, before)


def test_the_recipe_draws_as_with_mmdet_s(repo_root):
    """RandAugment with the same seed gives the same images."""
    init_default_scope('mmdet')
    cfg = Config.fromfile(repo_root / 'configs/_base_/datasets/coco_multilabel_448.py')
    fast = next(step for step in cfg.train_pipeline if step.type == 'mmdet.RandAugment').to_dict()
    plain = dict(fast, aug_space=[
        [dict(step, type=step['type'].replace('Fast', 'mmdet.'))] for (step,) in fast['aug_space']])
    assert plain != fast
    images = []
    for settings in (fast, plain):
        augment = TRANSFORMS.build(settings)
        np.random.seed(0)
        images.append([augment(dict(img=IMAGES['noise'], img_shape=(60, 80)))['img']
                       for _ in range(60)])
    for one, other in zip(*images, strict=True):
        assert np.array_equal(one, other)
