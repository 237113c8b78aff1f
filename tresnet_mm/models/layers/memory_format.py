"""The memory format of features: which they are in, and bringing others into it."""

from typing import Any

import torch
from torch import Tensor, nn


def channels_come_last(x: Tensor) -> bool:
    """Whether ``x`` (N, C, H, W) is dense in ``torch.channels_last`` and in no other format."""
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


def format_like(y: Tensor, x: Tensor) -> Tensor:
    """Lay ``y`` out densely in the memory format of ``x``; copies only where it is not yet so.

    Args:
        y: Features of as many dimensions as ``x``.
        x: Features (N, C, ...), or a slice of such. Where H and W (or C) are 1 both formats are
            one, and where there is no H and W there is only one.
    """
    last = x.dim() == 4 and x.stride(1) < x.stride(3) and not x.is_contiguous()
    return y.contiguous(
        memory_format=torch.channels_last if last else torch.contiguous_format)


def shield_mmcv_layers(model: nn.Module) -> None:
    """Have the layers of ``mmcv.ops`` in a model get their feature maps in the contiguous format.

    RoIAlign and its kin read the memory as if it were (N, C, H, W), whatever the strides say: in
    ``torch.channels_last`` they would pool from anywhere, without an error.
    """
    for module in model.modules():
        if type(module).__module__.startswith('mmcv.ops.'):
            module.register_forward_pre_hook(_contiguous_arguments)


def _contiguous_arguments(module: nn.Module, args: tuple) -> tuple[Any, ...]:
    return tuple(x.contiguous() if isinstance(x, Tensor) else x for x in args)
