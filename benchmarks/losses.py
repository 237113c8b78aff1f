"""The asymmetric losses against their plain forms: time, bytes kept for backward, peak memory."""
from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tresnet_mm.models.losses import AsymmetricFocalLoss, AsymmetricLoss

from . import timing

# (images, classes): COCO's 80 classes at a large batch, OpenImages' 9,600 at a small one
MULTILABEL_SHAPES = ((4096, 80), (64, 9600))
# (anchors, classes): one image of a dense detector
DETECTION_SHAPES = ((100_000, 80),)
POSITIVE_LABELS = 0.04  # COCO: 2.9 of 80 classes an image
POSITIVE_ANCHORS = 0.002

Loss = Callable[[Tensor, Tensor], Tensor]


def published_asl(logits: Tensor, targets: Tensor, gamma_neg: float = 4, gamma_pos: float = 1,
                  clip: float = 0.05, eps: float = 1e-8, detach_weights: bool = False) -> Tensor:
    """Asymmetric loss, summed, in the published "optimized" manner.

    Plain operations, in place where autograd allows it; one power with a tensor of exponents
    serves positives and negatives.
    """
    negatives = 1 - targets
    p = torch.sigmoid(logits)
    q = 1 - p
    q.add_(clip).clamp_(max=1)
    loss = targets * torch.log(p.clamp(min=eps))
    loss.add_(negatives * torch.log(q.clamp(min=eps)))
    with torch.set_grad_enabled(torch.is_grad_enabled() and not detach_weights):
        p, q = p * targets, q * negatives
        weights = torch.pow(1 - p - q, gamma_pos * targets + gamma_neg * negatives)
    return -(loss * weights).sum()


def multilabel_losses(compiled: bool) -> dict[str, Loss]:
    """The contenders on multi-hot targets; the first is the reference of the ratios."""
    ours = AsymmetricLoss()
    detached = AsymmetricLoss(gamma_pos=0, detach_weights=True)
    losses = {
        'published form': published_asl,
        'AsymmetricLoss': ours,
        'published form, 4/0 detached': lambda x, y: published_asl(
            x, y, gamma_pos=0, detach_weights=True),
        'AsymmetricLoss, 4/0 detached': detached,
        'binary cross entropy': lambda x, y: F.binary_cross_entropy_with_logits(
            x, y, reduction='sum')}
    if compiled:
        losses['published form, compiled'] = torch.compile(published_asl)
        losses['AsymmetricLoss, compiled'] = torch.compile(ours)
    return losses


def detection_losses(compiled: bool) -> dict[str, Loss]:
    """The contenders on integer classes; the first is the reference of the ratios."""
    from mmdet.models.losses import FocalLoss
    ours = AsymmetricFocalLoss(gamma_pos=2, gamma_neg=2)
    losses = {
        'mmdet FocalLoss': FocalLoss(),
        'AsymmetricFocalLoss': ours,
        'AsymmetricFocalLoss 1/2, clip 0.02': AsymmetricFocalLoss(
            gamma_pos=1, gamma_neg=2, clip=0.02)}
    if compiled:
        losses['AsymmetricFocalLoss, compiled'] = torch.compile(ours)
    return losses


def measure(task: str, losses: Mapping[str, Loss], logits: Tensor, targets: Tensor, rounds: int,
            amp: bool = False) -> list[dict[str, Any]]:
    """Forward and backward of each loss on the same input, one row a loss."""
    logits.requires_grad_()

    def forward(loss: Loss) -> Tensor:
        with torch.autocast(logits.device.type, enabled=amp):
            return loss(logits, targets)

    def step(loss: Loss) -> None:
        logits.grad = None
        forward(loss).backward()

    contenders = {name: (lambda loss=loss: step(loss)) for name, loss in losses.items()}
    times = timing.alternate(contenders, rounds=rounds, warmup=3)
    logits.grad = None
    rows = []
    for name, loss in losses.items():
        saved = timing.saved_bytes(lambda loss=loss: forward(loss), exclude=(logits, targets))
        logits.grad = None
        peak = timing.peak_memory(contenders[name], logits.device)
        rows.append({
            'task': task, 'shape': 'x'.join(map(str, logits.shape)), 'loss': name,
            'ms forward+backward': 1e3 * times['median'][name],
            'speed vs first': times['ratio'][name], 'spread': times['spread'][name],
            'kept beside input MiB': saved / timing.MIB, 'peak extra MiB': peak / timing.MIB})
    logits.grad = None
    for row in rows:
        row['peak vs first'] = row['peak extra MiB'] / max(rows[0]['peak extra MiB'], 1e-9)
    return rows


def multilabel(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure the losses on multi-hot targets."""
    generator = torch.Generator().manual_seed(0)
    # A round takes milliseconds: many of them cost little and settle the median.
    rounds = 4 * args.rounds
    rows = []
    for shape in MULTILABEL_SHAPES:
        logits = 3 * torch.randn(shape, generator=generator) - 2
        targets = (torch.rand(shape, generator=generator) < POSITIVE_LABELS).float()
        rows += measure('multi-label', multilabel_losses(args.compile), logits.to(args.device),
                        targets.to(args.device), rounds, args.amp)
    return rows


def detection(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure the losses on integer classes."""
    generator = torch.Generator().manual_seed(1)
    rows = []
    for num, num_classes in DETECTION_SHAPES:
        num = num // 10 if args.quick else num
        logits = torch.randn(num, num_classes, generator=generator) - 4
        classes = torch.randint(num_classes, (num,), generator=generator)
        background = torch.rand(num, generator=generator) >= POSITIVE_ANCHORS
        classes[background] = num_classes
        rows += measure('detection', detection_losses(args.compile), logits.to(args.device),
                        classes.to(args.device), args.rounds, args.amp)
    return rows


def run(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure both families of losses; called by ``python -m benchmarks losses``."""
    return multilabel(args) + detection(args)
