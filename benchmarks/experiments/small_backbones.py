"""A small TResNet and a ResNet of as many multiply-adds, for experiments on a CPU.

The TResNet is the demo's: TResNet-M's kinds of blocks, one a stage, half as wide. The ResNet is
ResNet-18 as mmdet has it, made narrower until both do the same number of multiply-adds.
"""
from __future__ import annotations

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from tresnet_mm.models.complexity import complexity

TOLERANCE = 0.02
_WIDTH = 33
#: config of each backbone, and the channels of its four stages
BACKBONES = {
    'tresnet': (dict(type='TResNet', arch=dict(
        depths=(1, 1, 1, 1), width=0.5,
        blocks=('basic', 'basic', 'bottleneck', 'bottleneck'))), [32, 64, 512, 1024]),
    'resnet': (dict(type='mmdet.ResNet', depth=18, base_channels=_WIDTH, stem_channels=_WIDTH,
                    norm_cfg=dict(type='BN'), norm_eval=False, style='pytorch'),
               [_WIDTH * 2 ** stage for stage in range(4)]),
}
NAMES = {'tresnet': 'TResNet', 'resnet': 'ResNet-18, narrow'}


def use_backbone(cfg: Config, name: str) -> None:
    """Put one of `BACKBONES` into a config of a detector, a classifier or both, in place."""
    model = cfg.model
    parts = [model, model.detector] if 'detector' in model else [model]
    settings, channels = BACKBONES[name]
    for part in parts:
        if 'backbone' in part:
            stages = part.backbone.get('out_indices', (0, 1, 2, 3))
            part.backbone = dict(**settings, out_indices=tuple(stages))
        if 'neck' in part:
            part.neck.in_channels = channels
    for head in ('head', 'image_head'):
        if head in model and model[head].get('features') != 'neck':
            model[head].in_channels = channels[-1]


def costs(height: int, width: int) -> dict[str, dict[str, int]]:
    """Multiply-adds of one image of that size and parameters, of each of `BACKBONES`."""
    init_default_scope('mmdet')
    image = torch.zeros(1, 3, height, width)
    found = {}
    for name, (settings, _) in BACKBONES.items():
        network = MODELS.build(settings)
        found[name] = dict(multiply_adds=complexity(network, image).multiply_adds,
                           parameters=sum(p.numel() for p in network.parameters()))
    return found


def check_equal(found: dict[str, dict[str, int]]) -> None:
    """RuntimeError where the multiply-adds are further apart than `TOLERANCE`."""
    ours, theirs = (found[name]['multiply_adds'] for name in ('tresnet', 'resnet'))
    if abs(theirs / ours - 1) > TOLERANCE:
        raise RuntimeError(f'multiply-adds differ by more than {TOLERANCE:.0%}: '
                           f'TResNet {ours:,}, ResNet {theirs:,}')
