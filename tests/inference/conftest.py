"""Small models with random weights, one of each kind, and images of several sizes."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

CLASSES = ('cat', 'dog', 'owl')
SIZES = ((70, 96), (96, 64), (70, 96), (101, 128), (64, 64))  # height, width
UNIT = dict(mean=[0.] * 3, std=[255.] * 3, bgr_to_rgb=True)
TINY = dict(type='TResNet', arch=dict(depths=(1, 1, 1, 1), width=0.125,
                                      blocks=('basic', 'basic', 'bottleneck', 'bottleneck')))
FCOS = dict(
    type='FCOS', backbone=TINY,
    data_preprocessor=dict(type='DetDataPreprocessor', pad_size_divisor=32, **UNIT),
    neck=dict(type='FPN', in_channels=[8, 16, 128, 256], out_channels=16, start_level=1,
              add_extra_convs='on_output', num_outs=3),
    bbox_head=dict(type='FCOSHead', num_classes=3, in_channels=16, feat_channels=16,
                   stacked_convs=1, norm_cfg=None, strides=[8, 16, 32],
                   regress_ranges=((-1, 64), (64, 128), (128, 1e8))),
    test_cfg=dict(nms_pre=100, min_bbox_size=0, score_thr=0.0, max_per_img=20,
                  nms=dict(type='nms', iou_threshold=0.5)))
HEAD = dict(type='MultiLabelLinearHead', num_classes=3)
MODEL_OF = {
    'classifier': dict(type='MultiLabelClassifier', backbone=TINY, head=HEAD),
    'detector': FCOS,
    'joint': dict(type='MultiTaskDetector', detector=FCOS, image_head=HEAD),
}


def config(kind: str, **model) -> Config:
    """A config as a user has it: the model, and a data set that need not be there."""
    detects = kind != 'classifier'
    pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True),
                dict(type='Resize', scale=(96, 96), keep_ratio=True), dict(type='PackDetInputs')]
    dataset = dict(type='CocoDataset' if detects else 'CocoMultiLabel', ann_file='nowhere.json',
                   metainfo=dict(classes=CLASSES),
                   pipeline=pipeline if detects else [
                       dict(type='LoadImageChecked'), dict(type='PackMultiLabelInputs')])
    return Config(dict(
        default_scope='mmdet', custom_imports=dict(imports=['tresnet_mm']),
        model={**MODEL_OF[kind], **model}, test_dataloader=dict(dataset=dataset)))


def spread_weights(model: torch.nn.Module) -> None:
    """Random weights with which scores and boxes differ from place to place and image to image."""
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Conv2d) and 'backbone' not in name:
            torch.nn.init.normal_(module.weight, std=0.15)
    for module in model.modules():
        if hasattr(module, 'running_var'):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)


@pytest.fixture(scope='session')
def trained(tmp_path_factory):
    """Kind of model -> (config file, checkpoint file as mmengine's runner writes it)."""
    folder, files = tmp_path_factory.mktemp('models'), {}
    for kind in MODEL_OF:
        torch.manual_seed(0)
        cfg = config(kind)
        with DefaultScope.overwrite_default_scope('mmdet'):
            model = MODELS.build(cfg.model)
            model.init_weights()
        spread_weights(model)
        files[kind] = folder / f'{kind}.py', folder / f'{kind}.pth'
        cfg.dump(files[kind][0])
        torch.save(dict(state_dict=model.state_dict(),
                        meta=dict(dataset_meta=dict(classes=CLASSES))), files[kind][1])
    return files


@pytest.fixture(scope='session')
def photos(tmp_path_factory) -> list[Path]:
    """PNG files of `SIZES`, of smooth noise."""
    folder, random = tmp_path_factory.mktemp('photos'), np.random.default_rng(0)
    paths = []
    for number, (height, width) in enumerate(SIZES):
        coarse = random.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
        paths.append(folder / f'{number}.png')
        cv2.imwrite(str(paths[-1]), cv2.resize(coarse, (width, height)))
    return paths
