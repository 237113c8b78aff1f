"""Channels from the backbone to the heads."""

import pytest
from mmengine.config import Config

SMALL = [32, 64, 512, 1024]


@pytest.mark.parametrize(('options', 'right'), [
    ({'model.neck.in_channels': [256, 512, 1024, 2048]}, SMALL),
    ({'model.backbone.arch': 'm'}, [64, 128, 1024, 2048]),
    ({'model.backbone.arch': 'l', 'model.backbone.out_indices': (2, 3)}, [1216, 2432]),
    ({'model.backbone.out_indices': (1, 2, 3)}, SMALL[1:]),
    ({'model.neck.in_channels': SMALL[1:]}, SMALL),
])
def test_a_neck_for_other_features(own, problems, options, right):
    found = problems(own(options=options))['model.neck.in_channels']
    assert found.right == str(right) and found.value == list(
        options.get('model.neck.in_channels', SMALL))
    assert str(right) in found.what


def test_the_neck_of_a_joint_model(own, problems):
    key = 'model.detector.neck.in_channels'
    cfg = own('multitask_fcos_tresnet_tiny_shapes', {key: [64, 128, 1024, 2048]})
    assert problems(cfg)[key].right == str(SMALL)


@pytest.mark.parametrize(('backbone', 'channels'), [
    (dict(type='ResNet', depth=18), [64, 128, 256, 512]),
    (dict(type='ResNet', depth=50), [256, 512, 1024, 2048]),
    (dict(type='RegNet', arch='regnetx_400mf', out_indices=(0, 1, 2, 3)), [32, 64, 160, 384])])
def test_backbones_that_do_not_say_their_channels(own, problems, backbone, channels):
    cfg = own()
    cfg.model.backbone = backbone
    assert problems(cfg)['model.neck.in_channels'].right == str(channels)
    cfg.model.neck.in_channels = channels
    assert problems(cfg) == {}


def test_a_neck_that_reads_the_last_map_alone(own, problems):
    cfg = own()
    cfg.model.neck = dict(type='DilatedEncoder', in_channels=2048, out_channels=64,
                          block_mid_channels=16, num_residual_blocks=1, block_dilations=[2])
    cfg.model.backbone.out_indices = (3,)
    assert problems(cfg)['model.neck.in_channels'].right == '1024'


def test_a_list_of_necks(own, problems):
    cfg = own(options={'model.neck.in_channels': [1, 2, 3, 4]})
    cfg.model.neck = [cfg.model.neck, dict(type='BFP', in_channels=64, num_levels=4)]
    assert problems(cfg)['model.neck.0.in_channels'].right == str(SMALL)


def test_a_head_for_another_neck(own, problems):
    found = problems(own(options={'model.neck.out_channels': 128}))
    assert found['model.bbox_head.in_channels'].right == '128'


def test_roi_heads_for_another_neck(own, problems, repo_root):
    cfg = own()
    cfg.model = Config.fromfile(repo_root / 'configs/mask_rcnn_tresnet_m.py').model
    cfg.model.neck.out_channels = 128
    keys = ['rpn_head.in_channels', 'roi_head.bbox_roi_extractor.out_channels',
            'roi_head.bbox_head.in_channels', 'roi_head.mask_roi_extractor.out_channels',
            'roi_head.mask_head.in_channels']
    found = problems(cfg)
    assert all(found[f'model.{key}'].right == '128' for key in keys)


@pytest.mark.parametrize(('name', 'options', 'right', 'what'), [
    ('multilabel_tresnet_tiny_shapes', {}, '1024', 'backbone'),
    ('multitask_fcos_tresnet_tiny_shapes', {'model.image_head.features': 'backbone'}, '1024',
     'backbone'),
    ('multitask_fcos_tresnet_tiny_shapes', {}, '64', 'the last feature map of the neck has 64')])
def test_an_image_head_reads_the_last_map(own, problems, name, options, right, what):
    key = f'model.{"image_" if "multitask" in name else ""}head.in_channels'
    found = problems(own(name, {key: 2048, **options}))
    assert found[key].right == right and what in found[key].what


def test_a_head_on_the_backbone_itself(own, problems):
    from tresnet_mm.config_files import find_config
    cfg = own()
    cfg.model = Config.fromfile(
        find_config('mmdet::mask2former/mask2former_r50_8xb2-lsj-50e_coco.py')).model
    cfg.model.backbone = dict(type='TResNet', arch='m')
    found = problems(cfg)['model.panoptic_head.in_channels']
    assert found.right == str([64, 128, 1024, 2048])


@pytest.mark.parametrize(('options', 'key'), [
    ({'model.neck.num_outs': 5}, 'model.bbox_head.strides'),
    ({'model.bbox_head.regress_ranges': ((-1, 64), (64, 1e8))}, 'model.bbox_head.regress_ranges')])
def test_levels(own, problems, options, key):
    found = problems(own(options=options))
    assert 'model.neck.num_outs' in found[key].what


def test_a_config_with_types_as_classes(own, problems):
    from mmdet.models import FPN
    cfg = own(options={'model.neck.in_channels': [1, 2, 3, 4]})
    cfg.model.neck.type = FPN
    assert problems(cfg)['model.neck.in_channels'].right == str(SMALL)


@pytest.mark.parametrize('right', [True, False])
def test_a_head_on_the_only_map_of_the_backbone(own, problems, right):
    cfg = own(options={'model.backbone.out_indices': (3,),
                       'model.bbox_head.in_channels': 1024 if right else 2048})
    cfg.model.neck = None
    cfg.model.bbox_head.strides, cfg.model.bbox_head.regress_ranges = [32], ((-1, 1e8),)
    found = problems(cfg)
    assert list(found) == ([] if right else ['model.bbox_head.in_channels'])
    assert right or found['model.bbox_head.in_channels'].right == '1024'
