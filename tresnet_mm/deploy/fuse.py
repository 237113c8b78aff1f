"""Folding a trained model into its fastest form for inference."""

import copy
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import torch
from mmcv.cnn import ConvModule
from mmengine.logging import print_log
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..models.layers import FastConv2d, InPlaceABN
from ..models.layers.memory_format import shield_mmcv_layers
from ..models.residual_blocks import BLOCKS
from ..models.tresnet import TResNet
from .fused_conv import FusedConv2d
from .fused_layers import FusedBlock

PLAIN_CONVOLUTIONS = (nn.Conv2d, FastConv2d)


@dataclass
class FuseReport:
    """What `fuse` did.

    Attributes:
        abn: In-place ABNs folded into their convolutions.
        bn: Batch norms folded into their convolutions.
        activations: Activations that the convolutions apply by themselves.
        blocks: Residual blocks whose convolutions add the shortcut or that gate and add at once.
        packed: Further convolutions that run over packed weights on the CPU.
        left: Names of the norm layers that stay, each with the reason.
    """

    abn: int = 0
    bn: int = 0
    activations: int = 0
    blocks: int = 0
    packed: int = 0
    left: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        text = (f'fused: {self.abn} in-place ABNs and {self.bn} batch norms folded into their '
                f'convolutions, {self.activations} activations applied by them, {self.blocks} '
                f'residual blocks joined, {self.packed} other convolutions packed')
        return text + ''.join(f'\n  left: {line}' for line in self.left)


def fuse(model: nn.Module, inplace: bool = False) -> nn.Module:
    """Return ``model`` folded for inference, with the same outputs up to rounding (1e-4 relative).

    Works on anything that holds TResNets or mmcv's ConvModules: a backbone, a classifier, a
    detector. Norm layers of ConvModules (in-place ABN with scale ``|weight| + eps``, or batch norm)
    go into their convolutions with their running statistics; leaky ReLU and ReLU are applied by
    the convolution; shortcuts are added by the last convolution of their block; on the CPU all
    convolutions run over weights that are prepared once (see `FusedConv2d`). The result is in eval
    mode and cannot be trained. On the CPU it is fastest with itself and its input in
    ``torch.channels_last``.

    Args:
        model: The model to fold.
        inplace: Change ``model`` itself instead of a copy.

    Returns:
        The folded model. Its attribute ``fuse_report`` (`FuseReport`) says what was done, which is
        logged too.

    Examples:
        >>> import torch
        >>> from tresnet_mm import fuse
        >>> from tresnet_mm.models import TResNet
        >>> model = TResNet(dict(depths=(1, 1, 1, 1), width=0.25)).eval()
        >>> fused = fuse(model)
        >>> fused.fuse_report.abn, fused.fuse_report.blocks
        (14, 4)
        >>> images = torch.rand(1, 3, 64, 64)
        >>> torch.allclose(fused(images)[-1], model(images)[-1], rtol=1e-3, atol=1e-4)
        True
    """
    model = (model if inplace else copy.deepcopy(model)).eval().requires_grad_(False)
    report = FuseReport()
    users = Counter(id(m.conv) for m in model.modules() if isinstance(m, ConvModule))
    for name, module in list(model.named_modules()):
        if isinstance(module, ConvModule):
            _fuse_conv_module(module, name, users[id(module.conv)] > 1, report)
    for module in list(model.modules()):
        if isinstance(module, TResNet):
            _fuse_tresnet(module, report)
    report.packed = pack_convolutions(model)
    shield_mmcv_layers(model)  # packed convolutions answer in the format that is fastest
    model.fuse_report = report  # type: ignore[assignment]  # modules take any attribute
    print_log(str(report), logger='current')
    return model


def pack_convolutions(model: nn.Module) -> int:
    """Turn the plain convolutions of a model, in place, into ones over packed weights.

    Nothing else changes: see `FusedConv2d`. Convolutions that several modules share stay shared.

    Returns:
        The number of convolutions.
    """
    made: dict[int, FusedConv2d] = {}
    for module in list(model.modules()):
        for name, child in list(module._modules.items()):
            if type(child) in PLAIN_CONVOLUTIONS:
                made.setdefault(id(child), FusedConv2d(child))  # type: ignore[arg-type]
                setattr(module, name, made[id(child)])
    return len(made)


def fold_norm(conv: nn.Conv2d, norm: _BatchNorm) -> tuple[Tensor, Tensor]:
    """Weight and bias of the convolution that does what ``conv`` then ``norm`` do in eval mode.

    The activation of an in-place ABN is not part of it.

    Raises:
        ValueError: If the norm has no running statistics.
    """
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError('a norm layer without running statistics cannot be folded')
    wide = torch.float64
    scale = torch.ones_like(norm.running_var, dtype=wide)
    if norm.weight is not None:
        scale = norm.weight.to(wide)
        if isinstance(norm, InPlaceABN):
            scale = scale.abs() + norm.eps
    scale = scale * torch.rsqrt(norm.running_var.to(wide) + norm.eps)
    bias = -norm.running_mean.to(wide)
    if conv.bias is not None:
        bias = bias + conv.bias.to(wide)
    bias = bias * scale
    if norm.bias is not None:
        bias = bias + norm.bias.to(wide)
    dtype = conv.weight.dtype
    return (conv.weight.to(wide) * scale[:, None, None, None]).to(dtype), bias.to(dtype)


def _fuse_conv_module(module: ConvModule, name: str, shared: bool, report: FuseReport) -> None:
    """Fold the norm of a ConvModule into its convolution, and the activation if it can."""
    conv: Any = module.conv
    norm = module.norm
    if not isinstance(norm, _BatchNorm):
        return
    reason = _why_not(module, shared)
    if reason:
        report.left.append(f'{name}.{module.norm_name} ({reason})')
        return
    weight, bias = fold_norm(conv, norm)
    activation, slope, rest = _activation_of(module)
    module.conv = FusedConv2d(conv, weight, bias, activation, slope)
    setattr(module, module.norm_name, rest)
    if activation != 'none':
        module.with_activation = False
        report.activations += 1
    if isinstance(norm, InPlaceABN):
        report.abn += 1
    else:
        report.bn += 1


def _why_not(module: ConvModule, shared: bool) -> str:
    """The reason why a ConvModule's norm cannot be folded, or ''."""
    if type(module.conv) not in PLAIN_CONVOLUTIONS:
        return f'its convolution is a {type(module.conv).__name__}'
    if shared:
        return 'its convolution is shared'
    if tuple(module.order) != ('conv', 'norm', 'act'):
        return f'its order is {module.order}'
    if module.norm.running_mean is None:
        return 'it has no running statistics'
    return ''


def _activation_of(module: ConvModule) -> tuple[str, float, nn.Module]:
    """What the convolution applies ('relu', 'leaky_relu', 'none'), its slope, and what remains."""
    norm = module.norm
    rest: nn.Module = nn.Identity()
    if isinstance(norm, InPlaceABN) and norm.activation != 'identity':
        if norm.activation == 'leaky_relu' and not module.with_activation:
            return 'leaky_relu', norm.activation_param, rest
        if norm.activation == 'leaky_relu':
            return 'none', 0.0, nn.LeakyReLU(norm.activation_param, inplace=True)
        return 'none', 0.0, nn.ELU(norm.activation_param, inplace=True)
    if module.with_activation and isinstance(module.activate, nn.LeakyReLU):
        return 'leaky_relu', module.activate.negative_slope, rest
    if module.with_activation and isinstance(module.activate, nn.ReLU):
        return 'relu', 0.0, rest
    return 'none', 0.0, rest


def _fuse_tresnet(backbone: TResNet, report: FuseReport) -> None:
    """Join the residual blocks of a backbone whose norms are folded."""
    for stage in backbone.stages:
        for i, block in enumerate(stage):
            convs = [m.conv for m in block.children() if isinstance(m, ConvModule)]
            if isinstance(block, tuple(BLOCKS.values())) and all(
                    isinstance(conv, FusedConv2d) for conv in convs):
                stage[i] = FusedBlock(block)
                report.blocks += 1
