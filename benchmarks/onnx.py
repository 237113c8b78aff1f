"""Deployed classifiers side by side: eager, fused, compiled, onnxruntime."""
from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmengine.registry import MODELS

from tresnet_mm.deploy import OnnxModel, export_onnx, fuse

from . import timing


@torch.no_grad()
def _scores(model: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    return model(x, mode='tensor')


def run(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Images/s of a TResNet classifier in each form, batches of 1 and 8, on the CPU.

    ``torch.compile`` (with frozen weights) takes minutes to compile; ``--quick`` leaves it out.
    """
    size = args.image_size or 224
    model = build_classifier(args.arch)
    fused = fuse(model).to(memory_format=torch.channels_last)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / 'model.onnx')
        export_onnx(model, path)
        unfused = str(Path(folder) / 'unfused.onnx')
        export_onnx(model, unfused, fold=False)
        forms: dict[str, torch.nn.Module] = {
            'eager': model, 'eager, fused': fused, 'onnxruntime': OnnxModel(path),
            'onnxruntime, exported unfused': OnnxModel(unfused)}
        if args.compile or not args.quick:
            forms['torch.compile of fused'] = torch.compile(fused, dynamic=False)
        for batch in (1,) if args.quick else (1, args.batch_size or 8):
            x = torch.rand(batch, 3, size, size)
            last = x.to(memory_format=torch.channels_last)
            times = timing.alternate(
                {name: partial(_scores, form, last if 'fused' in name[:20] else x)
                 for name, form in forms.items()}, args.rounds, warmup=2)
            for name in forms:
                rows.append(dict(
                    form=name, batch=batch, size=size, ms=times['median'][name] * 1e3,
                    images_per_s=batch / times['median'][name],
                    speed_ratio=times['ratio'][name], spread=times['spread'][name]))
    return rows


def build_classifier(arch: str) -> torch.nn.Module:
    """A multi-label classifier of 80 classes with random weights, in eval mode."""
    return MODELS.build(dict(
        type='MultiLabelClassifier', backbone=dict(type='TResNet', arch=arch, out_indices=(3,)),
        head=dict(type='MultiLabelLinearHead', num_classes=80))).eval()
