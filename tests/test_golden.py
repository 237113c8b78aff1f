"""Whole networks against what the published implementations computed.

Each file lists the keys and shapes of a published checkpoint; ``weights.py`` beside it fills them.
The result is loaded as a user would load the published file.
"""

import importlib.util
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.runner.checkpoint import load_checkpoint

from tresnet_mm.checkpoint import convert
from tresnet_mm.models import MultiLabelClassifier, TResNet

FILES = ['official_m', 'asl_l_coco', 'mldecoder_v2_l', 'mldecoder_m_groups', 'timm_m']


@lru_cache(maxsize=1)  # up to 220 MB each
def golden(folder: Path, name: str):
    """The file's meta, the published checkpoint it stands for, and its outputs."""
    spec = importlib.util.spec_from_file_location('weights', folder / 'weights.py')
    weights = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(weights)
    meta, state_dict, arrays = weights.load(folder / f'{name}.npz')
    state_dict = {key: torch.from_numpy(np.asarray(value)) for key, value in state_dict.items()}
    wrapper = meta['checkpoint_wrapper']
    checkpoint = {wrapper: state_dict} if wrapper else state_dict
    return meta, checkpoint, {key: torch.from_numpy(value) for key, value in arrays.items()}


def error(out: torch.Tensor, expected: torch.Tensor) -> float:
    """Largest deviation relative to the largest value."""
    return ((out[:len(expected)] - expected).abs().max() / expected.abs().max()).item()


def build(meta, norm: str) -> MultiLabelClassifier:
    """The model that a user would write down for this file."""
    head = dict(type='MultiLabelLinearHead', num_classes=meta['num_classes'])
    if meta['format'] == 'ml_decoder':
        head['type'] = 'MLDecoderHead'
        head['num_groups'] = 20 if meta['name'].endswith('groups') else None
    return MultiLabelClassifier(
        backbone=dict(type='TResNet', arch=meta['arch'], norm_cfg=dict(type=norm)), head=head)


@pytest.mark.parametrize('name', FILES)
@pytest.mark.parametrize('norm', ['InPlaceABN', 'BN'])
def test_golden(name, norm, golden_dir):
    meta, checkpoint, arrays = golden(golden_dir, name)
    converted = convert(checkpoint, norm=norm)
    assert converted.arch == meta['arch']
    assert converted.num_classes == meta['num_classes']
    model = build(meta, norm)
    model.load_state_dict(converted.state_dict, strict=True)

    model.eval()
    with torch.no_grad():
        stages = model.backbone(arrays['input'])
        logits = model.head(stages)
    for i, stage in enumerate(stages, 1):
        assert error(stage, arrays[f'stage{i}']) < 1e-4, f'stage {i}'
    assert error(logits, arrays['logits']) < 1e-4

    model.backbone.train()  # batch statistics; the head stays in eval mode: dropout off
    with torch.no_grad():
        assert error(model(arrays['input']), arrays['train_logits']) < 1e-3
    stem = model.backbone.conv1.bn
    mean, var = arrays['train_running_mean_first'], arrays['train_running_var_first']
    # The conversion moves the sign of a batch norm's negative scales into the convolution.
    flipped = meta['format'] == 'timm' and norm == 'InPlaceABN'
    if flipped:
        mean = mean * torch.sign(checkpoint['body.conv1.bn.weight'])
    assert error(stem.running_mean, mean) < 1e-3
    assert error(stem.running_var, var) < 1e-3


@pytest.mark.parametrize('name', ['asl_l_coco', 'timm_m'])
def test_golden_file_through_load_from(name, golden_dir, tmp_path):
    """One published file of each norm, by mmengine's loader and strictly."""
    meta, checkpoint, arrays = golden(golden_dir, name)
    if name == 'timm_m':
        from safetensors.torch import save_file
        path = tmp_path / 'model.safetensors'
        save_file(checkpoint, path)
    else:
        path = tmp_path / 'model.pth'
        torch.save(checkpoint, path)
    model = build(meta, 'InPlaceABN').eval()
    load_checkpoint(model, str(path), map_location='cpu', strict=True)
    with torch.no_grad():
        assert error(model(arrays['input']), arrays['logits']) < 1e-4


def test_published_classes_through_the_single_label_head(golden_dir, tmp_path):
    """The ImageNet file gives its published logits, and their softmax as scores."""
    meta, checkpoint, arrays = golden(golden_dir, 'official_m')
    torch.save(checkpoint, tmp_path / 'model.pth')
    model = MultiLabelClassifier(
        backbone=dict(type='TResNet', arch=meta['arch']),
        head=dict(type='SingleLabelHead', num_classes=meta['num_classes'])).eval()
    load_checkpoint(model, str(tmp_path / 'model.pth'), map_location='cpu', strict=True)
    with torch.no_grad():
        assert error(model(arrays['input']), arrays['logits']) < 1e-4
        samples = model(arrays['input'], mode='predict')
    scores = torch.stack([sample.pred_scores for sample in samples])[:len(arrays['logits'])]
    assert error(scores, arrays['logits'].softmax(1)) < 1e-3


def test_same_name_two_networks(golden_dir):
    """ML-Decoder's tresnet_l.pth into TResNet's tresnet_l: refused, both named."""
    _, checkpoint, _ = golden(golden_dir, 'mldecoder_v2_l')
    with pytest.raises(ValueError, match="of TResNet arch 'v2_l', the model of arch 'l'"):
        TResNet(arch='l').load_state_dict(checkpoint['model'])
