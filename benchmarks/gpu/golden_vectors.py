"""Whole networks and the loss against what the published implementations computed."""
from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tresnet_mm.checkpoint import convert
from tresnet_mm.models import MultiLabelClassifier
from tresnet_mm.models.losses import AsymmetricLoss

from ..networks import FORMATS
from .comparison import compared, full_float32, largest_error
from .norms import unusable
from .parts import Absent, Row
from .settings import Settings

LOSS = 'asl_loss.npz'


def folder_of(settings: Settings) -> Path:
    """The golden vectors' folder.

    Raises:
        Absent: If none is given or it is another.
    """
    if settings.golden is None:
        raise Absent('no golden vectors: --golden FOLDER names where they are')
    if not (settings.golden / LOSS).is_file():
        raise Absent(f'no golden vectors: {settings.golden} holds no {LOSS}')
    return settings.golden


def networks(settings: Settings) -> list[Row]:
    """Logits in evaluation and in training, float32 without TF32, by backend and format."""
    folder, rows = folder_of(settings), []
    backends = ['torch']
    if settings.on_gpu and unusable('triton', settings) is None:
        backends.append('triton')
    with full_float32():
        for name in settings.golden_networks:
            for backend in backends:
                rows += _network(folder, name, backend, settings)
    return rows


def _network(folder: Path, name: str, backend: str, settings: Settings) -> Iterator[Row]:
    meta, checkpoint, arrays = _published(folder, name)
    expected = {key: torch.from_numpy(arrays[key]) for key in ('logits', 'train_logits')}
    state = convert(checkpoint, norm='InPlaceABN').state_dict
    for label, memory_format in FORMATS.items():
        model = _build(meta, backend)
        model.load_state_dict(state, strict=True)
        model = model.to(settings.device).to(memory_format=memory_format).eval()
        x = torch.from_numpy(arrays['input']).to(settings.device)
        x = x.to(memory_format=memory_format)
        what = f'{name}, {backend}, {label}'
        with torch.no_grad():
            yield compared(f'{what}, evaluation',
                           largest_error(model(x), expected['logits']), 1e-4)
            model.backbone.train()  # the head's dropout stays off
            yield compared(f'{what}, training',
                           largest_error(model(x), expected['train_logits']), 1e-3)


def _published(folder: Path, name: str) -> tuple[dict[str, Any], dict, dict[str, np.ndarray]]:
    """What a golden file says of its network, the checkpoint it stands for, inputs and outputs."""
    spec = importlib.util.spec_from_file_location('weights', folder / 'weights.py')
    if spec is None or spec.loader is None:
        raise Absent(f'no golden vectors: {folder} holds no weights.py')
    weights = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(weights)
    meta, state, arrays = weights.load(folder / f'{name}.npz')
    state = {key: torch.from_numpy(np.asarray(value)) for key, value in state.items()}
    wrapper = meta['checkpoint_wrapper']
    return meta, {wrapper: state} if wrapper else state, arrays


def _build(meta: dict[str, Any], backend: str) -> MultiLabelClassifier:
    head: dict[str, Any] = dict(type='MultiLabelLinearHead', num_classes=meta['num_classes'])
    if meta['format'] == 'ml_decoder':
        groups = 20 if meta['name'].endswith('groups') else None
        head.update(type='MLDecoderHead', num_groups=groups)
    norm = dict(type='InPlaceABN', backend=backend)
    return MultiLabelClassifier(
        backbone=dict(type='TResNet', arch=meta['arch'], norm_cfg=norm), head=head)


def losses(settings: Settings) -> list[Row]:
    """The asymmetric loss and its gradient, by variant."""
    data = np.load(folder_of(settings) / LOSS)
    logits, targets = (torch.from_numpy(data[key]).to(settings.device).double()
                       for key in ('logits', 'targets'))
    rows = []
    for i, variant in enumerate(json.loads(str(data['meta']))['variants']):
        detach = variant.pop('disable_torch_grad_focal_loss', False)
        leaf = logits.clone().requires_grad_()
        loss = AsymmetricLoss(**variant, detach_weights=detach)(leaf, targets)
        grad: Tensor
        grad, = torch.autograd.grad(loss, leaf)
        for kind, found in (('loss', loss), ('grad', grad)):
            expected = torch.from_numpy(np.asarray(data[f'{kind}_{i}'])).double()
            rows.append(compared(f'variant {i}, {kind}', largest_error(found, expected), 1e-5))
    return rows
