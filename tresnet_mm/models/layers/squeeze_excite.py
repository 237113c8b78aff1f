"""Squeeze-and-excitation, and a convolution behind it that keeps less for backward."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class SqueezeExcite(nn.Module):
    """Scale each channel by a gate computed from the channels' means (TResNet, section 2.1).

    Args:
        channels: Number of channels C of the input.
        hidden: Width of the layer between the two 1x1 convolutions.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, hidden, 1)
        self.act = nn.ReLU(inplace=True)
        self.fc2 = nn.Conv2d(hidden, channels, 1)

    def gate(self, x: Tensor) -> Tensor:
        """Return the gates (N, C, 1, 1), each in (0, 1), of an input (N, C, H, W)."""
        return self.fc2(self.act(self.fc1(x.mean((2, 3), keepdim=True)))).sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` (N, C, H, W) times its gates."""
        return x * self.gate(x)


def gated_conv2d(x: Tensor, gate: Tensor, conv: nn.Conv2d) -> Tensor:
    """Return ``conv(x * gate)``, keeping ``x`` and ``gate`` for backward but not their product.

    Both are kept for the product's own gradient anyway; the convolution's input is made again
    from them by one multiplication when its weight's gradient is due.

    Args:
        x: Features (N, C, H, W).
        gate: Gates (N, C, 1, 1).
        conv: A convolution of C channels. If it has a method ``weight_gradient``, that chooses how
            the weight's gradient is computed, see `FastConv2d`.
    """
    weight = conv.weight
    if not torch.is_grad_enabled() or torch.jit.is_tracing() or not weight.requires_grad:
        return conv(x * gate)
    # Autograd casts the weight's gradient back: autocast does not reach into a backward.
    weight = weight.to(x.dtype)
    bias = None if conv.bias is None else conv.bias.to(x.dtype)
    choose = getattr(conv, 'weight_gradient', None)
    return _GatedConv2d.apply(x, gate.to(x.dtype), weight, bias, choose and choose(x),
                              conv.stride, conv.padding, conv.dilation, conv.groups)


class _GatedConv2d(torch.autograd.Function):

    @staticmethod
    def forward(x: Tensor, gate: Tensor, weight: Tensor, bias: Tensor | None,
                weight_gradient: Callable | None, *geometry: Any) -> Tensor:
        return torch.conv2d(x * gate, weight, bias, *geometry)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        x, gate, weight, bias, ctx.weight_gradient, *ctx.geometry = inputs
        ctx.save_for_backward(x, gate, weight)
        ctx.bias_sizes = None if bias is None else list(bias.shape)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, gate, weight = ctx.saved_tensors
        stride, padding, dilation, groups = ctx.geometry
        need = ctx.needs_input_grad
        by_itself = ctx.weight_gradient is None
        product = x * gate
        grad_product, grad_weight, grad_bias = torch.ops.aten.convolution_backward(
            grad, product, weight, ctx.bias_sizes, stride, padding, dilation, False, [0, 0],
            groups, [need[0] or need[1], need[2] and by_itself, need[3]])
        if need[2] and not by_itself:
            grad_weight = ctx.weight_gradient(product, grad, weight)
        grad_x = grad_product * gate if need[0] else None
        grad_gate = (grad_product * x).sum((2, 3), keepdim=True) if need[1] else None
        return grad_x, grad_gate, grad_weight, grad_bias, *[None] * 5
