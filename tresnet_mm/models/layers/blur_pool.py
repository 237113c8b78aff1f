"""Blur pooling: anti-aliased downsampling by two."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class BlurPool2d(nn.Module):
    """Low-pass filter, then keep every second pixel (TResNet, section 2.1; arXiv 1904.11486).

    The fixed filter is [1, 2, 1] x [1, 2, 1] / 16, on reflected borders of one pixel. It is a
    constant, so it is no part of the state dict, and nothing is saved for backward: the layer is
    linear in its input.

    Args:
        channels: Number of channels C of the input.
    """

    kernel: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        row = torch.tensor([1.0, 2.0, 1.0]) / 4
        kernel = (row[:, None] * row[None, :]).expand(channels, 1, 3, 3).contiguous()
        self.register_buffer('kernel', kernel, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Downsample (N, C, H, W) to (N, C, ceil(H / 2), ceil(W / 2)); H and W at least 2."""
        kernel = self.kernel.to(x.dtype)
        if torch.is_grad_enabled() and x.requires_grad:
            return _BlurPool.apply(x, kernel)
        return _blur(x, kernel)

    def extra_repr(self) -> str:
        return f'channels={self.channels}'


def _blur(x: Tensor, kernel: Tensor) -> Tensor:
    return F.conv2d(F.pad(x, (1, 1, 1, 1), mode='reflect'), kernel, stride=2, groups=x.shape[1])


class _BlurPool(torch.autograd.Function):
    """`_blur` without the padded copy of the input that a convolution would keep for backward."""

    @staticmethod
    def forward(x: Tensor, kernel: Tensor) -> Tensor:
        return _blur(x, kernel)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        x, kernel = inputs
        ctx.save_for_backward(kernel)
        ctx.size = x.shape

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (kernel,) = ctx.saved_tensors
        h, w = ctx.size[2:]
        # At an even side the padded input's last row (column) lies under no filter position.
        unused = ((h - 1) % 2, (w - 1) % 2)
        padded = F.conv_transpose2d(
            grad, kernel.to(grad.dtype), stride=2, groups=grad.shape[1], output_padding=unused)
        return _fold_reflection(padded), None


def _fold_reflection(padded: Tensor) -> Tensor:
    """Adjoint of reflection padding by one pixel: (N, C, H + 2, W + 2) to (N, C, H, W).

    Adds the border's gradient to the pixel that was mirrored there, in place.
    """
    padded[:, :, 2] += padded[:, :, 0]
    padded[:, :, -3] += padded[:, :, -1]
    padded[:, :, :, 2] += padded[:, :, :, 0]
    padded[:, :, :, -3] += padded[:, :, :, -1]
    return padded[:, :, 1:-1, 1:-1]
