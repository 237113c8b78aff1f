"""Whole models for the benchmarks: multi-label heads and classifiers, FCOS detectors."""
from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import BaseDataElement, InstanceData
from torch import Tensor, nn

from . import networks, timing

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
R50_FCOS = 'mmdet::fcos/fcos_r50-caffe_fpn_gn-head-center-normbbox-centeronreg-giou_1x_coco.py'


def label_samples(count: int, num_classes: int) -> list[BaseDataElement]:
    """Data samples with random multi-hot labels, about 4 % of them positive."""
    labels = (torch.rand(count, num_classes) < 0.04).float()
    return [BaseDataElement(gt_labels=row) for row in labels]


def heads(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Forward and backward of the multi-label heads with their loss, on maps of 7x7 or 14x14."""
    side = (args.image_size or 224) // 32
    batch = 8 if args.batch_size in (None, 'auto') else args.batch_size
    feats = torch.randn(batch, 2048, side, side, device=args.device)
    rows = []
    for num_classes in (80,) if args.quick else (80, 1000, 9600):
        samples = [s.to(args.device) for s in label_samples(batch, num_classes)]
        built = {kind: MODELS.build(dict(
            type=kind, num_classes=num_classes, in_channels=2048,
            loss=dict(type='AsymmetricLoss', gamma_neg=4, gamma_pos=0, clip=0.05),
        )).to(args.device).train() for kind in ('MultiLabelLinearHead', 'MLDecoderHead')}

        def step(head: nn.Module, samples: list[BaseDataElement] = samples) -> None:
            head.zero_grad(set_to_none=True)
            x = feats.detach().requires_grad_()
            sum(head.loss((x,), samples).values()).backward()

        times = timing.alternate({k: partial(step, h) for k, h in built.items()}, args.rounds)
        for kind, head in built.items():
            rows.append(dict(
                head=kind, classes=num_classes, batch=batch, map=f'{side}x{side}',
                parameters_M=sum(p.numel() for p in head.parameters()) / 1e6,
                ms=times['median'][kind] * 1e3, spread=times['spread'][kind]))
    return rows


def classifiers(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Multi-label classifiers of 80 classes with either backbone: loss and backward, or scores."""
    head = dict(type='MultiLabelLinearHead', num_classes=80, in_channels=2048)
    backbones = {
        'ResNet-50': dict(type='mmdet.ResNet', depth=50, norm_eval=False, style='pytorch'),
        f'TResNet-{args.arch.upper()}': dict(type='TResNet', arch=args.arch)}
    import mmdet.models  # noqa: F401  registers ResNet

    def build(backbone: dict[str, Any]) -> nn.Module:
        arch_head = dict(head)
        if backbone['type'] == 'TResNet':
            del arch_head['in_channels']
        return MODELS.build(dict(type='MultiLabelClassifier', backbone=backbone, head=arch_head))

    def train(model: nn.Module, x: Tensor, _: argparse.Namespace) -> None:
        model.zero_grad(set_to_none=True)
        samples = [s.to(x.device) for s in label_samples(len(x), 80)]
        with networks.autocast(args):
            loss = sum(model(x, samples, mode='loss').values())
        loss.backward()

    def infer(model: nn.Module, x: Tensor, _: argparse.Namespace) -> None:
        with torch.no_grad(), networks.autocast(args):
            model(x, mode='predict')

    return _compare(build, backbones, dict(train=train, infer=infer), args.image_size or 224, args)


def fcos(arch: str | None) -> dict[str, Any]:
    """Config of the FCOS detector of ``configs/fcos_tresnet_m.py``; ResNet-50's if arch is None."""
    if arch is None:
        model = get_config(R50_FCOS).model
        model.backbone.init_cfg = None
        return model
    name = CONFIGS / f'fcos_tresnet_{arch}.py'
    if not name.is_file():
        raise SystemExit(f'--arch {arch}: there is no {name.name} in configs/')
    model = Config.fromfile(name).model
    model.backbone.init_cfg = None
    return model


def boxes(count: int, size: int, device: str) -> list[Any]:
    """Detection data samples with seven random boxes each (COCO's mean)."""
    from mmdet.structures import DetDataSample
    samples = []
    for _ in range(count):
        corner = torch.rand(7, 2) * size * 0.7
        sides = torch.rand(7, 2) * size * 0.25 + 8
        sample = DetDataSample(metainfo=dict(
            img_shape=(size, size), ori_shape=(size, size), pad_shape=(size, size),
            batch_input_shape=(size, size), scale_factor=(1.0, 1.0)))
        sample.gt_instances = InstanceData(
            bboxes=torch.cat([corner, corner + sides], 1), labels=torch.randint(80, (7,)))
        samples.append(sample.to(device))
    return samples


def detectors(args: argparse.Namespace) -> list[dict[str, Any]]:
    """FCOS with either backbone, end to end: loss and backward, or boxes."""
    init_default_scope('mmdet')
    size = args.image_size or (256 if args.quick else 800)
    args.batch_size = args.batch_size or (1 if args.quick or args.device == 'cpu' else 8)

    def train(model: nn.Module, x: Tensor, _: argparse.Namespace) -> None:
        model.zero_grad(set_to_none=True)
        with networks.autocast(args):
            losses = model.loss(x, boxes(len(x), size, x.device))
        sum(value for key, value in losses.items() if 'loss' in key).backward()

    def infer(model: nn.Module, x: Tensor, _: argparse.Namespace) -> None:
        with torch.no_grad(), networks.autocast(args):
            model.predict(x, boxes(len(x), size, x.device))

    contenders = {'FCOS ResNet-50': None, f'FCOS TResNet-{args.arch.upper()}': args.arch}
    return _compare(lambda arch: MODELS.build(fcos(arch)), contenders,
                    dict(train=train, infer=infer), size, args)


def _compare(build: Any, contenders: dict[str, Any], steps: dict[str, Any], size: int,
             args: argparse.Namespace) -> list[dict[str, Any]]:
    """Build every contender afresh for each mode and measure them side by side."""
    rows = []
    for mode in networks.modes(args):
        models = {}
        for name, value in contenders.items():
            model = build(value)
            model.train(mode == 'train')
            models.update(networks.deployed(name, model, args) if mode == 'infer' else
                          {name: model})
        rows += networks.compare(models, mode, size, args, steps[mode])
    return rows


def run(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure what ``args.subject`` names."""
    subjects = dict(heads=heads, classifiers=classifiers, detectors=detectors)
    return subjects[args.subject](args)
