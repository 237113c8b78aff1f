"""The layers against plain ones: bytes kept, time, closeness to float64."""
from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from tresnet_mm.models.layers import BlurPool2d, FastConv2d, InPlaceABN

from . import timing

SLOPE = 1e-3
# (N, C, H, W): the outputs of the stem and of stages 2 and 3 of TResNet-M at 224 px
SHAPES = ((8, 64, 56, 56), (8, 128, 28, 28), (8, 1024, 14, 14))
# (C, O, kernel, side): convolutions of the four stages at 224 px
CONVOLUTIONS = ((64, 64, 3, 56), (128, 128, 3, 28), (256, 256, 3, 14), (512, 512, 3, 7),
                (256, 1024, 1, 14))


class _Source(torch.autograd.Function):
    """Hands out ``buffer`` as the output of an operation: a layer may then write into it."""

    @staticmethod
    def forward(ctx, token: Tensor, buffer: Tensor) -> Tensor:
        return buffer.detach()

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[None, None]:
        return None, None


class PlainABN(nn.Module):
    """PyTorch's batch norm followed by leaky ReLU in place: what in-place ABN replaces."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(channels)
        self.act = nn.LeakyReLU(SLOPE, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(x))


class PlainBlur(nn.Module):
    """Reflection padding and a depthwise convolution, with autograd's own backward."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        row = torch.tensor([1., 2., 1.]) / 4
        self.pad = nn.ReflectionPad2d(1)
        self.register_buffer('kernel', (row[:, None] * row).expand(channels, 1, 3, 3).clone())

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.conv2d(self.pad(x), self.kernel, stride=2, groups=x.shape[1])


def norm_layers(channels: int, device: str = 'cpu') -> dict[str, nn.Module]:
    """The contenders for norm and activation; the first is the reference of the ratios."""
    kwargs = dict(activation='leaky_relu', activation_param=SLOPE)
    layers = {'batch norm + leaky ReLU': PlainABN(channels),
              'InPlaceABN': InPlaceABN(channels, **kwargs)}
    if device.startswith('cuda'):
        layers['InPlaceABN, triton'] = InPlaceABN(channels, backend='triton', **kwargs)
    try:
        from inplace_abn import InPlaceABN as Compiled
    except ImportError:
        return layers
    layers['inplace-abn'] = Compiled(channels, **kwargs)
    return layers


def blur_layers(channels: int) -> dict[str, nn.Module]:
    """The contenders for blur pooling; the first is the reference of the ratios."""
    return {'pad + depthwise convolution': PlainBlur(channels), 'BlurPool2d': BlurPool2d(channels)}


def conv_layers(channels: int, out_channels: int, kernel: int) -> dict[str, nn.Module]:
    """The contenders for convolutions, of equal weights; the first is the ratios' reference."""
    geometry = dict(kernel_size=kernel, padding=kernel // 2, bias=False)
    plain, fast = (layer(channels, out_channels, **geometry) for layer in (nn.Conv2d, FastConv2d))
    fast.load_state_dict(plain.state_dict())
    name = f'{kernel}x{kernel} to {out_channels}'
    return {f'Conv2d {name}': plain, f'FastConv2d {name}': fast}


def conv_error(layer: nn.Module, x: Tensor, grad: Tensor) -> float:
    """Largest relative L2 error of a convolution's output and gradients against float64."""
    def results(weight: Tensor, leaf: Tensor, out: Tensor, run: Callable) -> list[Tensor]:
        y = run(leaf.requires_grad_())
        return [y.detach(), *torch.autograd.grad(y, [leaf, weight], out)]

    wide = layer.weight.detach().double().requires_grad_()
    exact = results(wide, x.detach().double(), grad.double(), lambda leaf: nn.functional.conv2d(
        leaf, wide, padding=layer.padding))
    found = results(layer.weight, x.detach().clone(), grad, layer)
    return max(float((a.double() - b).norm() / b.norm()) for a, b in zip(found, exact, strict=True))


def gradient_error(layer: nn.Module, x: Tensor, grad: Tensor) -> float:
    """Largest relative L2 error of a norm layer's gradients against float64 batch norm.

    The reference is batch norm and leaky ReLU with the same effective scale. The weights are made
    random first, the same for every layer; in-place ABN's scale is ``|weight| + eps``.

    Args:
        layer: One of ``norm_layers``.
        x: Input (N, C, H, W).
        grad: Gradient of the output, same shape.
    """
    norm = layer.bn if isinstance(layer, PlainABN) else layer
    generator = torch.Generator().manual_seed(0)
    scale = torch.rand(x.shape[1], generator=generator) + 0.5
    bias = torch.randn(x.shape[1], generator=generator) * 0.5
    with torch.no_grad():
        norm.weight.copy_(scale if norm is not layer else scale - norm.eps)
        norm.bias.copy_(bias)
    reference = PlainABN(x.shape[1]).to(x.device, torch.float64)
    with torch.no_grad():
        reference.bn.weight.copy_(scale)
        reference.bn.bias.copy_(bias)

    def gradients(module: nn.Module, affine: nn.Module, leaf: Tensor, out: Tensor) -> list[Tensor]:
        leaf.requires_grad_()
        y = module(leaf.clone(memory_format=torch.preserve_format))
        return list(torch.autograd.grad(y, [leaf, affine.weight, affine.bias], out))

    exact = gradients(reference, reference.bn, x.detach().double(), grad.double())
    found = gradients(layer, norm, x.detach().clone(), grad)
    return max(float((a.double() - b).norm() / b.norm()) for a, b in zip(found, exact, strict=True))


def measure(layers: dict[str, nn.Module], shape: tuple[int, ...],
            memory_format: torch.memory_format, args: argparse.Namespace,
            error: Callable[..., float] | None = None,
            dtype: torch.dtype = torch.float32) -> list[dict[str, Any]]:
    """One row a layer: bytes saved, forward+backward time and its ratio to the first layer."""
    device = torch.device(args.device)
    x = torch.randn(shape, device=device).to(dtype, memory_format=memory_format)
    token = torch.zeros((), device=device, requires_grad=True)
    layers = {name: layer.to(device, memory_format=memory_format).train()
              for name, layer in layers.items()}

    with torch.no_grad():
        out = next(iter(layers.values()))(x.clone())
    grad = torch.randn_like(out).to(memory_format=memory_format)

    def step(layer: nn.Module, buffer: Tensor) -> None:
        layer(_Source.apply(token, buffer)).backward(grad)

    times = timing.alternate(
        {name: partial(step, layer, x.clone()) for name, layer in layers.items()},
        args.rounds * 5, warmup=3)
    rows = []
    for name, layer in layers.items():
        saved = timing.saved_bytes(
            lambda layer=layer: layer(_Source.apply(token, x.clone())), exclude=layer.buffers())
        rows.append(dict(
            layer=name, shape='x'.join(map(str, shape)), format=_format_name(memory_format),
            saved_MiB=saved / timing.MIB, saved_per_element=saved / x.numel() / x.element_size(),
            ms=times['median'][name] * 1e3, speed_ratio=times['ratio'][name],
            spread=times['spread'][name],
            error_vs_float64=error(layer, x, grad) if error else None))
    return rows


def _format_name(memory_format: torch.memory_format) -> str:
    return 'channels_last' if memory_format == torch.channels_last else 'NCHW'


def run(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Every layer on its shapes and in both memory formats (or the one asked for)."""
    formats = [torch.channels_last] if args.channels_last else (
        [torch.contiguous_format] if args.nchw else [torch.contiguous_format, torch.channels_last])
    rows = []
    for shape in SHAPES[1:2] if args.quick else SHAPES:
        for memory_format in formats:
            rows += measure(norm_layers(shape[1], str(args.device)), shape, memory_format, args,
                            gradient_error)
            rows += measure(blur_layers(shape[1]), shape, memory_format, args)
    for c, o, kernel, side in CONVOLUTIONS[1:2] if args.quick else CONVOLUTIONS:
        for memory_format in formats:
            rows += measure(
                conv_layers(c, o, kernel), (8, c, side, side), memory_format, args, conv_error)
    return rows
