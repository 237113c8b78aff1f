"""The input becomes RGB in [0, 1] whatever the library calls it."""

import pytest
from mmengine.config import Config

from tresnet_mm import swap_backbone
from tresnet_mm.backbone_swap.preprocessors import unit_rgb

IMAGENET = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])
UNIT = dict(mean=[0, 0, 0], std=[255, 255, 255])


@pytest.mark.parametrize(('preprocessor', 'expected'), [
    (dict(type='DetDataPreprocessor', bgr_to_rgb=False), dict(bgr_to_rgb=True)),
    (dict(type='SegDataPreProcessor', bgr_to_rgb=True), dict(bgr_to_rgb=True)),
    (dict(type='mmdet.DetDataPreprocessor', rgb_to_bgr=True),
     dict(bgr_to_rgb=True, rgb_to_bgr=False)),
    (dict(type='SelfSupDataPreprocessor', to_rgb=True), dict(to_rgb=True)),
    (dict(type='mmpretrain.ClsDataPreprocessor'), dict(to_rgb=True)),
    (dict(num_classes=1000), dict(to_rgb=True)),  # mmpretrain's, without its type
])
def test_settings(preprocessor, expected):
    assert unit_rgb(IMAGENET | preprocessor) == UNIT | expected


def test_other_than_three_channels_keep_their_order():
    assert unit_rgb(dict(type='SegDataPreProcessor', mean=[9.0] * 4, std=[2.0] * 4)) == dict(
        mean=[0] * 4, std=[255] * 4)


def test_beside_the_model_and_in_it():
    cfg = Config(dict(
        model=dict(backbone=dict(type='ResNet'), data_preprocessor=dict(
            type='SegDataPreProcessor', size=(512, 512), size_divisor=32, **IMAGENET)),
        data_preprocessor=dict(num_classes=5, to_rgb=True, **IMAGENET)))
    swapped = swap_backbone(cfg)
    assert swapped.model.data_preprocessor == dict(
        type='SegDataPreProcessor', size=(512, 512), size_divisor=32, bgr_to_rgb=True, **UNIT)
    assert swapped.data_preprocessor == dict(num_classes=5, to_rgb=True, **UNIT)
