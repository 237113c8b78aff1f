"""Questions about the memory format of features."""

import torch
from torch import Tensor


def channels_come_last(x: Tensor) -> bool:
    """Whether ``x`` (N, C, H, W) is in ``torch.channels_last`` and in no other format."""
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


def format_like(y: Tensor, x: Tensor) -> Tensor:
    """``y``, which is in channels_last, in the memory format of ``x``."""
    return y.contiguous() if x.is_contiguous() else y
