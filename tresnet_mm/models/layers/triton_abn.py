"""In-place activated batch norm as Triton kernels: eight passes over features a step.

Forward reads the features for their statistics, reads them again, and writes the output (3).
Backward reads the output and its gradient for two sums a channel, reads both again, and writes the
input's gradient (5); the normalised features are recovered from the output on the fly. PyTorch's
own kernels, one after the other, need 15.

The features are cut into tiles of positions x channels. What is summed up is summed in two stages:
within each tile, and then over the tiles, so that no order depends on which program comes first.
Everything is computed in float32.
"""

from typing import NamedTuple

import torch
import triton
from torch import Tensor

from .kernels import abn
from .memory_format import format_like

DTYPES = (torch.float32, torch.float16, torch.bfloat16)
TILE = 4096  # elements of a tile: 32 for each thread of four warps
MAX_CHANNELS = 64  # of a tile, where channels come last
ROWS = 32  # partial results that the second stage takes at once


class _Tiles(NamedTuple):
    """How dense features (N, C, ...) are cut: images x positions x channels, and their strides.

    Where channels come last, all images' positions are one row of them.
    """

    images: int
    positions: int
    channels: int
    image_stride: int
    position_stride: int
    channel_stride: int

    @classmethod
    def of(cls, x: Tensor) -> '_Tiles':
        channels, positions = x.shape[1], x.numel() // x.shape[1]
        if x.dim() == 2 or x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last):
            return cls(1, positions, channels, 0, channels, 1)
        positions //= len(x)
        return cls(len(x), positions, channels, channels * positions, 1, positions)

    @property
    def shape(self) -> tuple[int, int]:
        """Positions and channels of a tile, powers of two."""
        if self.channel_stride == 1:
            channels = min(triton.next_power_of_2(self.channels), MAX_CHANNELS)
            return min(triton.next_power_of_2(self.positions), TILE // channels), channels
        positions = min(triton.next_power_of_2(self.positions), TILE)
        return positions, min(triton.next_power_of_2(self.channels), TILE // positions)

    @property
    def layout(self) -> tuple[int, ...]:
        """What the kernels are told."""
        return self.of_an_image, *self[1:]

    @property
    def of_an_image(self) -> int:
        return triton.cdiv(self.positions, self.shape[0])

    @property
    def number(self) -> int:
        """Tiles of a channel."""
        return self.images * self.of_an_image

    @property
    def grid(self) -> tuple[int, int]:
        return self.number, triton.cdiv(self.channels, self.shape[1])


def statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance (C,), float32, of features (N, C, ...)."""
    x = format_like(_runnable(x), x)
    tiles = _Tiles.of(x)
    partial = x.new_empty(2, tiles.number, tiles.channels, dtype=torch.float32)
    mean, var = x.new_empty(2, tiles.channels, dtype=torch.float32)
    block = min(triton.next_power_of_2(tiles.channels), 32)
    with torch.cuda.device_of(x):
        abn.partial_statistics[tiles.grid](x, *partial, *tiles.layout, *tiles.shape)
        abn.combined_statistics[(triton.cdiv(tiles.channels, block), )](
            *partial, mean, var, tiles.number, tiles.of_an_image, tiles.positions, tiles.channels,
            tiles.images * tiles.positions, tiles.shape[0], ROWS, block)
    return mean, var


def normalise(x: Tensor, mean: Tensor, factor: Tensor, bias: Tensor, activation: str,
              param: float) -> Tensor:
    """``act((x - mean) * factor + bias)`` in the dtype of ``x`` (N, C, ...); the rest is (C,)."""
    x = format_like(_runnable(x), x)
    y = torch.empty_like(x)
    tiles = _Tiles.of(x)
    with torch.cuda.device_of(x):
        abn.normalised[tiles.grid](x, mean, factor, bias, y, param, *tiles.layout, activation,
                                   *tiles.shape)
    return y


def gradient_sums(grad: Tensor, y: Tensor, scale: Tensor, bias: Tensor, activation: str,
                  param: float) -> Tensor:
    """Sums (2, C) over a channel of ``dz * x_hat`` and of ``dz``, the gradient before activation.

    Args:
        grad: Gradient of the output, in its layout.
        y: Output (N, C, ...).
        scale: (C,), what the normalised input ``x_hat`` was multiplied by.
        bias: (C,), what was added.
        activation: As in `InPlaceABN`, like the next.
        param: Its parameter.
    """
    tiles = _Tiles.of(y)
    partial = y.new_empty(2, tiles.number, tiles.channels, dtype=torch.float32)
    with torch.cuda.device_of(y):
        abn.partial_sums[tiles.grid](grad, y, scale, bias, *partial, param, *tiles.layout,
                                     activation, torch.finfo(y.dtype).eps, *tiles.shape)
    return partial.sum(1)


def input_gradient(grad: Tensor, y: Tensor, scale: Tensor, bias: Tensor, factor: Tensor,
                   means: Tensor | None, activation: str, param: float) -> Tensor:
    """Gradient of the input: ``(dz - means[1] - x_hat * means[0]) * factor``.

    Args:
        grad: As in `gradient_sums`, like ``y``, ``scale``, ``bias``, and the last two.
        factor: (C,), what the input was multiplied by.
        means: The sums of `gradient_sums` divided by the values of a channel; None where the
            statistics did not depend on the input: then both are left out.
    """
    grad_x = torch.empty_like(y)
    tiles = _Tiles.of(y)
    with torch.cuda.device_of(y):
        abn.input_gradient[tiles.grid](
            grad, y, scale, bias, factor, factor if means is None else means, grad_x, param,
            *tiles.layout, activation, torch.finfo(y.dtype).eps, means is not None, *tiles.shape)
    return grad_x


def is_interpreted() -> bool:
    """Whether Triton's interpreter runs the kernels, on the CPU, as TRITON_INTERPRET=1 asks for."""
    return not isinstance(abn.normalised, triton.runtime.JITFunction)


def _runnable(x: Tensor) -> Tensor:
    """Return ``x`` if the kernels can run on it.

    Raises:
        RuntimeError: If it is not on a GPU, and the kernels are not interpreted.
        TypeError: If its dtype is none of `DTYPES`.
    """
    if x.device.type != 'cuda' and not is_interpreted():
        raise RuntimeError(
            f"InPlaceABN's backend='triton' runs on a GPU, and its input is on {x.device}: move "
            "model and input to the GPU, or take backend='torch' (for trying it out on a CPU, "
            'slowly, set the environment variable TRITON_INTERPRET=1 before Python starts)')
    if x.dtype not in DTYPES:
        raise TypeError(f"InPlaceABN's backend='triton' takes {', '.join(map(str, DTYPES))}, got "
                        f"{x.dtype}: take backend='torch'")
    return x
