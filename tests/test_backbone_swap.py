"""Swapping the ResNet of mm configs: what changes, what is refused, and that the models run."""

import subprocess
import sys

import pytest
import torch
from mmdet.registry import MODELS
from mmdet.testing import demo_mm_inputs
from mmengine.config import Config
from mmengine.registry import DefaultScope

import tresnet_mm
from benchmarks.experiments import swap_report
from tests.lines import needs_config
from tresnet_mm.backbone_swap import plan_swap
from tresnet_mm.commands.swap import child_config
from tresnet_mm.commands.test import set_classwise, set_tta
from tresnet_mm.config_files import find_config

#: What a swap has to get right, each in one config: the folder of mmdet's configs.
SAMPLE = ['atss', 'detr', 'libra_rcnn', 'yolof']


def load(name: str) -> Config:
    return Config.fromfile(find_config(f'mmdet::{name}'))


def test_plain_fpn_detector():
    cfg = load('atss/atss_r50_fpn_1x_coco.py')
    swapped = tresnet_mm.swap_backbone(cfg, 'l')
    assert swapped.model.backbone == dict(
        type='TResNet', arch='l', frozen_stages=1, norm_eval=True,
        init_cfg=dict(type='Pretrained', checkpoint='tresnet://l_in1k'))
    assert swapped.model.neck.in_channels == [76, 152, 1216, 2432]
    preprocessor = swapped.model.data_preprocessor
    assert (preprocessor.mean, preprocessor.std, preprocessor.bgr_to_rgb) == (
        [0, 0, 0], [255, 255, 255], True)
    assert preprocessor.pad_size_divisor == cfg.model.data_preprocessor.pad_size_divisor
    assert 'tresnet_mm' in swapped.custom_imports.imports
    assert cfg.model.backbone.type == 'ResNet', 'the given config was changed'


def test_dilated_c5_keeps_its_resolution():
    backbone = tresnet_mm.swap_backbone(
        load('faster_rcnn/faster-rcnn_r50-caffe-dc5_1x_coco.py'), 'm').model.backbone
    assert (backbone.strides, backbone.dilations) == ((1, 2, 2, 1), (1, 1, 1, 2))
    assert backbone.out_indices == (3,)


def test_list_of_necks_and_heads_that_read_the_backbone():
    libra = tresnet_mm.swap_backbone(
        load('libra_rcnn/libra-faster-rcnn_r50_fpn_1x_coco.py'), 'v2_l')
    assert [neck['in_channels'] for neck in libra.model.neck] == [[256, 512, 1024, 2048], 256]
    mask = tresnet_mm.swap_backbone(load('mask2former/mask2former_r50_8xb2-lsj-50e_coco.py'), 'm')
    assert mask.model.panoptic_head.in_channels == [64, 128, 1024, 2048]


@pytest.mark.parametrize(('arch', 'channels'), [('m', 2048), ('l', 2432)])
def test_channels_given_as_a_number(arch, channels):
    swapped = tresnet_mm.swap_backbone(load('yolof/yolof_r50-c5_8xb8-1x_coco.py'), arch)
    assert swapped.model.neck.in_channels == channels


@needs_config('clrnet/clrnet.py')
@pytest.mark.parametrize(('arch', 'channels'), [('m', [64, 128, 1024]), ('v2_l', [256, 512, 1024])])
def test_neck_that_reads_some_of_the_feature_maps(arch, channels):
    swapped = tresnet_mm.swap_backbone(load('clrnet/clrnet.py'), arch)
    assert swapped.model.neck.in_channels == channels


def test_model_without_neck_gets_an_adapter_where_the_widths_differ():
    cfg = load('faster_rcnn/faster-rcnn_r50-caffe-c4_ms-1x_coco.py')
    assert 'neck' not in tresnet_mm.swap_backbone(cfg, 'm').model
    neck = tresnet_mm.swap_backbone(cfg, 'l').model.neck
    assert (neck.in_channels, neck.out_channels) == ([1216], 1024)


def test_wrapped_detector():
    cfg = load('soft_teacher/soft-teacher_faster-rcnn_r50-caffe_fpn_180k_semi-0.1-coco.py')
    model = tresnet_mm.swap_backbone(cfg, 'm').model
    assert model.detector.backbone.type == 'TResNet'
    assert model.detector.neck.in_channels == [64, 128, 1024, 2048]
    assert model.data_preprocessor.data_preprocessor.mean == [0, 0, 0]


def test_what_only_resnet_has_is_told():
    swap = plan_swap(load('dcn/faster-rcnn_r50-dconv-c3-c5_fpn_1x_coco.py'))
    assert any(option.startswith('dcn=') for option in swap.dropped)
    assert any(option.startswith('stage_with_dcn=') for option in swap.dropped)


def test_weights_of_the_old_model_are_not_loaded():
    cfg = Config(dict(model=dict(backbone=dict(type='ResNet', depth=50)), load_from='r50.pth'))
    assert tresnet_mm.swap_backbone(cfg).load_from is None
    assert any('r50.pth' in note for note in plan_swap(cfg).notes)


def test_synchronised_norms_stay_synchronised():
    cfg = Config(dict(model=dict(backbone=dict(type='ResNet', norm_cfg=dict(type='SyncBN')))))
    assert tresnet_mm.swap_backbone(cfg).model.backbone.norm_cfg == dict(
        type='InPlaceABN', sync=True)


def test_other_norm_layers_are_told():
    cfg = Config(dict(model=dict(backbone=dict(type='ResNet', norm_cfg=dict(type='GN')))))
    assert plan_swap(cfg).dropped == ["norm_cfg={'type': 'GN'}"]


@pytest.mark.parametrize(('cfg', 'arch', 'message'), [
    (dict(model=dict(backbone=dict(type='SwinTransformer'))), 'm', 'is a SwinTransformer, and'),
    (dict(model=dict(backbone=dict(type='DetectoRS_ResNet'))), 'm', 'is a DetectoRS_ResNet, and'),
    (dict(model=dict(type='YOLOX')), 'm', 'has no model with a backbone'),
    (dict(model=dict(backbone=dict(type='ResNet'))), 'xxl', "unknown arch 'xxl'"),
])
def test_what_cannot_be_swapped_is_refused(cfg, arch, message):
    with pytest.raises(ValueError, match=message):
        tresnet_mm.swap_backbone(Config(cfg), arch)


@pytest.mark.parametrize('name', [
    'atss/atss_r50_fpn_1x_coco.py',
    'libra_rcnn/libra-faster-rcnn_r50_fpn_1x_coco.py',
    'dcn/faster-rcnn_r50-dconv-c3-c5_fpn_1x_coco.py',
])
def test_child_config_loads_as_the_function_s_result(tmp_path, name):
    text = child_config(f'mmdet::{name}', 'm')
    assert len(text.splitlines()) < 40
    (tmp_path / 'child.py').write_text(text)
    (tmp_path / 'base.py').write_text(f'_base_ = {f"mmdet::{name}"!r}\n')
    child = Config.fromfile(tmp_path / 'child.py')
    swapped = tresnet_mm.swap_backbone(Config.fromfile(tmp_path / 'base.py'))
    assert child.model.to_dict() == swapped.model.to_dict()
    assert not any('_scope_' in line for line in text.splitlines())


def test_tool_writes_the_file_or_says_why_not(tmp_path, repo_root):
    def run(*args):
        return subprocess.run(
            [sys.executable, 'tools/swap_backbone.py', *args], cwd=repo_root,
            capture_output=True, text=True)

    out = tmp_path / 'atss.py'
    assert run('mmdet::atss/atss_r50_fpn_1x_coco.py', '-o', str(out)).returncode == 0
    assert Config.fromfile(out).model.backbone.type == 'TResNet'
    wrong = run('mmdet::atss/nothing.py')
    assert wrong.returncode == 2
    assert 'no config mmdet::atss/nothing.py' in wrong.stderr
    assert 'Traceback' not in wrong.stderr


#: A detector in mmengine's pure-Python style: types are the classes themselves.
PURE_PYTHON = """
from mmdet.datasets.transforms import PackDetInputs
from mmdet.evaluation import CocoMetric
from mmdet.models import FPN, DetDataPreprocessor, FCOS, FCOSHead, ResNet
from mmengine.model import PretrainedInit

model = dict(
    type=FCOS,
    data_preprocessor=dict(type=DetDataPreprocessor, mean=[103.53, 116.28, 123.675],
                           std=[1.0, 1.0, 1.0], bgr_to_rgb=False, pad_size_divisor=32),
    backbone=dict(type=ResNet, depth=50, out_indices=(1, 2, 3), frozen_stages=1,
                  norm_cfg=dict(type='SyncBN'),
                  init_cfg=dict(type=PretrainedInit, checkpoint='torchvision://resnet50')),
    neck=dict(type=FPN, in_channels=[512, 1024, 2048], out_channels=64, num_outs=5),
    bbox_head=dict(type=FCOSHead, num_classes=80, in_channels=64))
test_dataloader = dict(dataset=dict(pipeline=[dict(type=PackDetInputs)]))
test_evaluator = dict(type=CocoMetric, ann_file='a.json')
"""


@pytest.fixture
def pure_python(tmp_path):
    (tmp_path / 'pure.py').write_text(PURE_PYTHON)
    return tmp_path / 'pure.py'


@pytest.mark.parametrize(('arch', 'channels'), [('m', [128, 1024, 2048]), ('l', [152, 1216, 2432])])
def test_types_given_as_classes(pure_python, arch, channels):
    swapped = tresnet_mm.swap_backbone(Config.fromfile(pure_python), arch)
    assert swapped.model.backbone.type == 'TResNet' and swapped.model.backbone.arch == arch
    assert swapped.model.backbone.norm_cfg == dict(type='InPlaceABN', sync=True)
    assert swapped.model.neck.in_channels == channels
    assert swapped.model.data_preprocessor.bgr_to_rgb is True
    swapped.model.backbone.init_cfg = swapped.model.backbone.norm_cfg = None
    del swapped.model.backbone['norm_cfg']
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(swapped.model)
    inputs = model.data_preprocessor(demo_mm_inputs(1, [[3, 64, 64]]), True)
    assert all(value is not None for value in model(**inputs, mode='loss').values())


def test_no_child_in_text_of_a_config_with_classes(pure_python):
    with pytest.raises(ValueError, match=r'types as classes.*tresnet_mm.swap_backbone'):
        child_config(str(pure_python), 'm')


def test_other_backbones_given_as_classes_are_named(pure_python):
    pure_python.write_text(PURE_PYTHON.replace('FCOSHead, ResNet', 'FCOSHead, RegNet').replace(
        'type=ResNet', 'type=RegNet'))
    with pytest.raises(ValueError, match='is a RegNet, and'):
        tresnet_mm.swap_backbone(Config.fromfile(pure_python))


def test_the_options_of_testing_know_classes(pure_python):
    cfg = Config.fromfile(pure_python)
    set_classwise(cfg)
    assert cfg.test_evaluator.classwise is True
    set_tta(cfg)
    assert cfg.model.type == 'DetTTAModel' and len(cfg.tta_pipeline) == 1


@pytest.mark.parametrize('folder', SAMPLE)
def test_swapped_models_do_what_they_do_with_resnet(folder):
    """Building, loss with backward, and prediction; `swap_report` itself runs all."""
    (path,) = [path for name, path in swap_report.representatives([folder]) if name == folder]
    results = swap_report.check(path, 'm')
    assert results == dict.fromkeys(swap_report.STEPS, 'ok')


def test_a_wrong_swap_would_be_seen():
    """The check fails where the neck is left with the ResNet's channels."""
    cfg = swap_report.without_downloads(load('atss/atss_r50_fpn_1x_coco.py'))
    cfg.model.backbone = dict(type='TResNet', arch='m')
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(cfg.model)
    inputs = demo_mm_inputs(1, [[3, 128, 128]])
    with pytest.raises(RuntimeError, match='channels'), torch.no_grad():
        model(**model.data_preprocessor(inputs, True), mode='loss')


def test_error_messages_name_no_folder_of_the_machine():
    assert swap_report.first_line(
        "No such file: '/home/me/lib/configs/a.py'\nmore") == "No such file: 'a.py'"
    assert swap_report.first_line('not CPU at "/tmp/build/x.cpp":12, please') == 'not CPU'
    assert swap_report.first_line('') == ''
