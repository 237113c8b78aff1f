"""The single-label configs fit together and read their sets from the folders that are named."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from tresnet_mm.archs import ARCHS

CONFIGS = Path(__file__).resolve().parent.parent / 'configs'
CLASSES = dict(imagenet=1000, cifar10=10, cifar100=100, stanford_cars=196, flowers102=102)


@pytest.mark.parametrize('name', CLASSES)
def test_config(name, monkeypatch):
    init_default_scope('mmdet')
    monkeypatch.setenv(f'{name.upper()}_ROOT', '/somewhere')
    cfg = Config.fromfile(CONFIGS / f'{name}_tresnet_m.py')
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        assert loader.dataset.data_root == '/somewhere'
        assert loader.dataset.pipeline[-1].type == 'PackSingleLabelInputs'
    assert cfg.val_evaluator.type == cfg.test_evaluator.type == 'SingleLabelMetric'
    assert [hook.metric for hook in cfg.custom_hooks if 'metric' in hook] == ['single-label/top1']
    assert cfg.auto_scale_lr.base_batch_size == cfg.train_dataloader.batch_size
    model = cfg.model.to_dict()
    model['backbone'].update(arch=dict(ARCHS['m'], depths=(1, 1, 1, 1)), init_cfg=None)
    with torch.device('meta'):
        logits = MODELS.build(model)(torch.zeros(2, 3, 64, 64), mode='tensor')
    assert logits.shape == (2, CLASSES[name])


def test_imagenet_is_evaluated_as_published():
    pipeline = Config.fromfile(CONFIGS / 'imagenet_tresnet_m.py').test_dataloader.dataset.pipeline
    assert pipeline[1:3] == [
        dict(type='ResizeShortSide', side=256), dict(type='CenterCrop', crop_size=224)]
