"""What a ResNet's options become, in each library with its own defaults."""

import pytest
from mmengine.config import Config
from mmengine.registry import MODELS

from tresnet_mm import swap_backbone
from tresnet_mm.backbone_swap import plan_swap
from tresnet_mm.backbone_swap.resnets import RESNETS, resnet_channels

WEIGHTS = dict(type='Pretrained', checkpoint='tresnet://m_in21k_ft_in1k')


def backbone(scope=None, model=None, **options):
    cfg = dict(model=dict(backbone=dict(type='ResNet', depth=50) | options, **(model or {})))
    return swap_backbone(Config(cfg | (dict(default_scope=scope) if scope else {}))).model


@pytest.mark.parametrize(('scope', 'kind', 'expected'), [
    ('mmdet', 'ResNet', dict(norm_eval=True)),
    (None, 'ResNet', dict(norm_eval=True)),
    ('mmrotate', 'mmdet.ResNet', dict(norm_eval=True)),
    ('mmseg', 'ResNet', {}),
    ('mmpretrain', 'ResNet', dict(out_indices=(3,))),
    ('mmdet', 'mmpretrain.ResNet', dict(out_indices=(3,))),
    ('mmdet', 'mmcls.ResNet', dict(out_indices=(3,))),
])
def test_options_that_are_not_written_are_the_library_s(scope, kind, expected):
    assert backbone(scope, type=kind).backbone == dict(type='TResNet', arch='m', **expected)


@pytest.mark.parametrize('kind', RESNETS)
def test_every_kind_of_resnet(kind):
    assert backbone('mmseg', type=kind).backbone.type == 'TResNet'


def test_dilated_strides():
    new = backbone('mmseg', strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4), norm_eval=False,
                   norm_cfg=dict(type='SyncBN', requires_grad=True)).backbone
    assert new == dict(type='TResNet', arch='m', strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4),
                       norm_cfg=dict(type='InPlaceABN', sync=True))
    MODELS.build(new)


def test_one_map_may_be_given_as_a_number():
    assert backbone('mmdet', out_indices=2).backbone.out_indices == (2,)


def test_an_arch_without_published_weights_is_told():
    cfg = Config(dict(model=dict(backbone=dict(type='ResNet', init_cfg=WEIGHTS))))
    swap = plan_swap(cfg, 's')
    assert swap.notes == ["there are no published weights of arch 's': it starts from scratch"]
    assert 'init_cfg' not in swap.model['backbone']
    assert plan_swap(cfg, 'm').notes == []


def test_channels_of_the_image():
    assert backbone('mmseg', in_channels=4).backbone.in_channels == 4


def test_weights_named_by_the_model():
    model = backbone('mmseg', dict(pretrained='open-mmlab://resnet50_v1c'))
    assert (model.pretrained, model.backbone.init_cfg) == (None, WEIGHTS)
    assert 'init_cfg' not in backbone('mmseg', dict(pretrained=None)).backbone


def test_weights_of_the_whole_old_model_go_and_are_told():
    cfg = Config(dict(model=dict(backbone=dict(type='ResNet'), init_cfg=dict(
        type='Pretrained', checkpoint='reid.pth'))))
    swap = plan_swap(cfg)
    assert swap.model['init_cfg'] is None and swap.model['backbone']['init_cfg'] == WEIGHTS
    assert 'init_cfg was of the old model: reid.pth' in swap.notes
    other = Config(dict(model=dict(backbone=dict(type='ResNet'), init_cfg=[dict(type='Normal')])))
    assert 'init_cfg' not in plan_swap(other).model


@pytest.mark.parametrize(('resnet', 'channels'), [
    (dict(depth=50), (256, 512, 1024, 2048)),
    (dict(depth=18), (64, 128, 256, 512)),
    (dict(depth=50, base_channels=128, expansion=2), (256, 512, 1024, 2048)),  # a wide one
])
def test_channels_of_a_resnet(resnet, channels):
    assert resnet_channels(resnet) == channels
