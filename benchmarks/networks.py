"""Backbones against ResNet-50 and against TResNet with inplace-abn."""
from __future__ import annotations

import argparse
import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

import tresnet_mm
from tresnet_mm.deploy import fuse, pack_convolutions
from tresnet_mm.models.layers import BlurPool2d
from tresnet_mm.models.residual_blocks import Bottleneck

from . import timing
from .layers import PlainBlur

FORMATS = {'NCHW': torch.contiguous_format, 'channels_last': torch.channels_last}


def formats(args: argparse.Namespace) -> dict[str, torch.memory_format]:
    """The memory formats that the command line asks for; both without an option."""
    chosen = [name for name, flag in
              (('NCHW', args.nchw), ('channels_last', args.channels_last)) if flag]
    return {name: FORMATS[name] for name in chosen or FORMATS}


def modes(args: argparse.Namespace) -> list[str]:
    """'train' and 'infer', or the one that the command line asks for."""
    chosen = [mode for mode in ('train', 'infer') if getattr(args, mode)]
    return chosen or ['train', 'infer']


def tresnet(arch: str, norm: str = 'InPlaceABN', conv: str = 'FastConv2d',
            **norm_options: Any) -> nn.Module:
    """A TResNet with random weights, its residual branches not zero."""
    backbone = tresnet_mm.models.TResNet(
        arch, norm_cfg=dict(type=norm, **norm_options), conv_cfg=dict(type=conv))
    backbone.init_weights()
    for module in backbone.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            nn.init.constant_(module.weight, 0.5)
    return backbone


def published(arch: str) -> nn.Module:
    """TResNet made of what the published code is made of, with random weights.

    The norm is the compiled package, the convolutions are PyTorch's, and autograd keeps the blur
    pool's padded input and squeeze-and-excitation's product for backward.
    """
    backbone = tresnet(arch, conv='Conv2d', backend='inplace_abn')
    for block in (block for stage in backbone.stages for block in stage):
        if isinstance(block.blur, BlurPool2d):
            block.blur = PlainBlur(block.blur.channels)
        if isinstance(block, Bottleneck) and block.se is not None:
            block.blur, block.se = nn.Sequential(block.blur, block.se), None
    return backbone


def resnet50() -> nn.Module:
    """Mmdet's ResNet-50 with trainable batch norms, all stages returned."""
    from mmdet.models import ResNet
    return ResNet(50, norm_eval=False, frozen_stages=-1, style='pytorch')


def backbone_contenders(args: argparse.Namespace) -> dict[str, Callable[[], nn.Module]]:
    """Name -> builder of a backbone; ResNet-50 comes first, so that ratios are against it."""
    name = f'TResNet-{args.arch.upper()}'
    known = {
        'r50': ('ResNet-50', resnet50),
        'inplace_abn': (f'{name} (inplace-abn)', partial(
            tresnet, args.arch, backend='inplace_abn')),
        'published': (f'{name} (as published)', partial(published, args.arch)),
        'conv2d': (f'{name} (Conv2d)', partial(tresnet, args.arch, conv='Conv2d')),
        'bn': (f'{name} (batch norm)', partial(tresnet, args.arch, 'BN')),
    }
    chosen = [key for key in args.against.split(',') if key]
    for key in chosen:
        if key not in known:
            raise SystemExit(f'--against: unknown contender {key!r}; known are {", ".join(known)}')
    builders = {known[key][0]: known[key][1] for key in chosen if key == 'r50'}
    builders[name] = partial(tresnet, args.arch)
    builders.update({known[key][0]: known[key][1] for key in chosen if key != 'r50'})
    return builders


def deployed(name: str, model: nn.Module, args: argparse.Namespace) -> dict[str, nn.Module]:
    """The forms of a network for inference: as it is, folded, and compiled if asked for.

    'folded' is ``tresnet_mm.fuse`` for TResNet and mmcv's ``fuse_conv_bn`` for ResNet-50;
    'folded, packed' gives ResNet-50 the packed convolutions too that ``fuse`` gives TResNet.
    """
    model = model.eval() or model  # mmdet's ResNet.train() returns None
    forms = {name: model}
    if 'ResNet-50' in name:
        from mmcv.cnn.utils import fuse_conv_bn
        folded = fuse_conv_bn(copy.deepcopy(model))
        forms[f'{name}, folded'] = folded
        forms[f'{name}, folded, packed'] = copy.deepcopy(folded)
        pack_convolutions(forms[f'{name}, folded, packed'])
    elif 'inplace-abn' not in name and 'published' not in name:
        forms[f'{name}, fused'] = fuse(model)
    if args.compile:
        last = list(forms)[min(1, len(forms) - 1)]
        forms[f'{last}, compiled'] = torch.compile(forms[last])
    return forms


def autocast(args: argparse.Namespace) -> torch.autocast:
    """Mixed precision if asked for: float16 on a GPU, bfloat16 on the CPU."""
    dtype = torch.float16 if args.device == 'cuda' else torch.bfloat16
    return torch.autocast(args.device, dtype=dtype, enabled=args.amp)


def features(model: nn.Module, x: Tensor, args: argparse.Namespace) -> Tensor:
    """The last feature map of a backbone."""
    with autocast(args):
        return model(x)[-1]


def train_step(model: nn.Module, x: Tensor, args: argparse.Namespace) -> None:
    """Forward and backward of a backbone, without an optimiser step."""
    model.zero_grad(set_to_none=True)
    y = features(model, x, args)
    y.backward(torch.ones_like(y))


@torch.no_grad()
def infer_step(model: nn.Module, x: Tensor, args: argparse.Namespace) -> None:
    """Forward of a backbone in eval mode."""
    features(model, x, args)


def largest_batch(step: Callable[[Tensor], Any], size: int, device: str) -> int:
    """The largest batch of (3, size, size) images that ``step`` can take.

    On a GPU by trying; on the CPU from the memory that is free and what one image more takes.
    """
    def image(n: int) -> Tensor:
        return torch.rand(n, 3, size, size, device=device)

    if device == 'cpu':
        two, four = (timing.peak_memory(partial(step, image(n))) for n in (2, 4))
        return max(1, int(0.9 * timing.available_memory() / max((four - two) / 2, 1)))

    def fits(n: int) -> bool:
        try:
            step(image(n))
            return True
        except torch.cuda.OutOfMemoryError:
            return False
        finally:
            torch.cuda.empty_cache()

    return largest_that(fits)


def largest_that(fits: Callable[[int], bool]) -> int:
    """The largest number that fits, to a 32nd, by doubling and bisection; 1 is not tried."""
    low, high = 1, 2
    while fits(high):
        low, high = high, high * 2
    while high - low > max(1, low // 32):
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def backbones(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Images/s, bytes saved and peak memory of backbones, every contender in every format."""
    size = args.image_size or 224
    rows = []
    for mode in modes(args):
        models = {}
        for name, build in backbone_contenders(args).items():
            try:
                model = build()
            except ImportError as error:
                print(f'left out: {name}: {error}', flush=True)
                continue
            model.train(mode == 'train')
            forms = deployed(name, model, args) if mode == 'infer' else {name: model}
            if mode == 'train' and args.compile:
                forms[f'{name}, compiled'] = torch.compile(copy.deepcopy(model))
            models.update(forms)
        rows += compare(models, mode, size, args)
    return rows


def compare(models: dict[str, nn.Module], mode: str, size: int, args: argparse.Namespace,
            step: Callable[..., None] | None = None) -> list[dict[str, Any]]:
    """Measure models in all formats, alternating all of them; one row a model and format.

    Args:
        models: Name -> model; the first one is what the ratios refer to.
        mode: 'train' or 'infer'.
        size: Side of the images.
        args: Command line.
        step: ``step(model, x, args)`` to time; the backbone's own by default.
    """
    step = step or (train_step if mode == 'train' else infer_step)
    steps, rows = {}, {}
    for label, memory_format in formats(args).items():
        for name, model in models.items():
            model = copy.deepcopy(model) if 'compiled' not in name else model
            model = model.to(args.device).to(memory_format=memory_format)
            batch = batch_of(model, step, size, memory_format, args)
            x = torch.rand(batch, 3, size, size, device=args.device)
            x = x.to(memory_format=memory_format)
            steps[name, label] = partial(step, model, x, args)
            rows[name, label] = dict(model=name, mode=mode, format=label, size=size, batch=batch)
            if mode == 'train' and 'compiled' not in name:
                rows[name, label].update(memory(model, x, args, step))
    times = timing.alternate(steps, args.rounds, warmup=1 if args.quick else 2)
    best: dict[str, float] = {}
    for key, row in rows.items():
        row.update(ms=times['median'][key] * 1e3, spread=times['spread'][key],
                   images_per_s=row['batch'] / times['median'][key])
        best[key[0]] = max(best.get(key[0], 0.0), row['images_per_s'])
    reference = next(iter(best))
    for key, row in rows.items():
        row[f'best_vs_{reference}'] = best[key[0]] / best[reference]
    return list(rows.values())


def batch_of(model: nn.Module, step: Callable[..., None], size: int,
             memory_format: torch.memory_format, args: argparse.Namespace) -> int:
    """The batch size asked for; 8 without an option, 2 with ``--quick``."""
    if args.batch_size == 'auto':
        return largest_batch(
            lambda x: step(model, x.to(memory_format=memory_format), args), size, args.device)
    return args.batch_size or (2 if args.quick else 8)


def memory(model: nn.Module, x: Tensor, args: argparse.Namespace,
           step: Callable[..., None]) -> dict[str, float]:
    """MiB an image that autograd keeps, and MiB at the peak of a step."""
    saved = timing.saved_bytes(partial(features, model, x, args), exclude=model.buffers()) \
        if step is train_step else None
    peak = timing.peak_memory(partial(step, model, x, args), args.device)
    return dict(saved_MiB_per_image=saved and saved / len(x) / timing.MIB,
                peak_MiB=peak / timing.MIB)


def run(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure the subject ``backbones``."""
    return backbones(args)
