"""3x3 convolutions by Winograd's minimal filtering, F(4x4, 3x3) (arXiv 1509.09308).

A tile of 4x4 outputs is computed from 6x6 inputs, with 36 multiplications a pair of channels
instead of 144. Rows and columns of tile and filter are taken as polynomials: evaluated at six
points (0, 1, -1, 2, -2 and infinity), multiplied there, and interpolated. The multiplications of
all tiles are one matrix product a pair of points, which is what processors are best at.

Inside, the channels come last, so that an element of a tile is a run of C numbers, and evaluating
at the points is a few sums of long runs. Rounding errors are about five times those of a direct
convolution in the same precision.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache

import torch
from torch import Tensor

TILE = 4
POINTS = 6
#: Index of the points (1, 1): what is added to the products there is added to every output.
ONES = 7
#: Temporaries are kept under this: allocators give larger blocks back to the system after each use.
CHUNK_BYTES = 16 << 20


def num_tiles(size: torch.Size) -> int:
    """Number of tiles that cover features of the size (N, C, H, W)."""
    n, _, h, w = size
    return n * -(-h // TILE) * -(-w // TILE)


def coverage(size: torch.Size) -> float:
    """Share of the tiles' pixels that lie in features of the size (N, C, H, W)."""
    n, _, h, w = size
    return n * h * w / (num_tiles(size) * TILE * TILE)


def lift_weight(weight: Tensor, transposed: bool = False) -> Iterator[Tensor]:
    """Evaluate filters at the points.

    Args:
        weight: (O, C, 3, 3).
        transposed: Take the filters of the transposed convolution, from O to C channels, which
            computes the input's gradient from the output's.

    Yields:
        The filters for `convolve`, the output channels in parts: (36, C, O'), transposed (36, O,
        C').
    """
    evaluate = _filter_matrix(weight.dtype)
    if transposed:
        evaluate = evaluate.flip(1)  # turns the filters by 180 degrees
    channels = _channels_at_once(weight, weight.shape[0 if transposed else 1])
    for part in weight.split(channels, int(transposed)):
        pixels = part.permute(0, 2, 3, 1).reshape(len(part), 9, -1)
        lifted = torch.bmm(evaluate.expand(len(part), -1, -1), pixels)  # (O', 36, C)
        yield lifted.transpose(0, 1) if transposed else lifted.permute(1, 2, 0)


def convolve(x: Tensor, lifted: Iterable[Tensor], out_channels: int,
             bias: Tensor | None = None) -> Tensor:
    """Convolve with stride 1 and zero padding of one pixel.

    Args:
        x: (N, C, H, W), in any memory format.
        lifted: Filters from `lift_weight`.
        out_channels: Number of output channels O.
        bias: (O,).

    Returns:
        (N, O, H, W) in ``torch.channels_last``.
    """
    n, c, h, w = x.shape
    output = torch.empty(n, out_channels, h, w, dtype=x.dtype, memory_format=torch.channels_last)
    pixels = output.permute(0, 2, 3, 1)
    ragged = _covered(h, w) != (h, w)
    y = x.new_empty(n, *_covered(h, w), out_channels) if ragged else pixels
    images = _images_at_once(x, max(c, out_channels))
    if images < n:
        lifted = list(lifted)  # else each part is used once and its memory taken for the next
    for some, out in zip(x.split(images), y.split(images), strict=True):
        tiles = _lift_input(some)
        first = 0
        for weight in lifted:
            last = first + weight.shape[2]
            products = torch.bmm(tiles, weight)
            if bias is not None:
                products[ONES] += bias[first:last]
            _interpolate(products, out[..., first:last])
            first = last
    if ragged:
        pixels.copy_(y[:, :h, :w])
    return output


def weight_gradient(x: Tensor, grad: Tensor) -> Tensor:
    """Gradient of the filters of a convolution with stride 1 and zero padding of one pixel.

    Args:
        x: Input (N, C, H, W) of the convolution.
        grad: Gradient (N, O, H, W) of its output.

    Returns:
        (O, C, 3, 3) in ``torch.channels_last``.
    """
    c, o = x.shape[1], grad.shape[1]
    images, channels = _images_at_once(x, max(c, o)), _channels_at_once(x, c)
    sums: list[Tensor] = []
    for some, its_grad in zip(x.split(images), grad.split(images), strict=True):
        tiles = _lift_input(some)
        parts = [part.transpose(1, 2) for part in _lift_gradient(its_grad).split(channels, 2)]
        if sums:
            for total, part in zip(sums, parts, strict=True):
                total.baddbmm_(part, tiles)
        else:
            sums = [torch.bmm(part, tiles) for part in parts]
    weight = grad.new_empty(o, 9, c)
    interpolate = _filter_matrix(x.dtype).t()
    for total, out in zip(sums, weight.split(channels), strict=True):
        torch.bmm(interpolate.expand(len(out), -1, -1), total.transpose(0, 1), out=out)
    return weight.view(o, 3, 3, c).permute(0, 3, 1, 2)


def _lift_input(x: Tensor) -> Tensor:
    """Evaluate the tiles of an input (N, C, H, W) at the points: (36, tiles, C)."""
    n, c, h, w = x.shape
    height, width = _covered(h, w)
    padded = _padded(x, 1, height + 2, width + 2)
    rows = x.new_empty(POINTS, n, height // TILE, width + 2, c)
    _evaluate_six([padded[:, i:i + height - 3:TILE] for i in range(6)], rows.unbind(0))
    lifted = x.new_empty(POINTS, POINTS, n, height // TILE, width // TILE, c)
    _evaluate_six([rows[..., i:i + width - 3:TILE, :] for i in range(6)], lifted.unbind(1))
    return lifted.view(POINTS ** 2, -1, c)


def _lift_gradient(grad: Tensor) -> Tensor:
    """Evaluate the tiles of an output's gradient (N, O, H, W) at the points: (36, tiles, O)."""
    n, o, h, w = grad.shape
    height, width = _covered(h, w)
    tiles = _as_tiles(_padded(grad, 0, height, width))
    rows = grad.new_empty(POINTS, *tiles.shape[1:])
    _evaluate_four(tiles.unbind(0), rows.unbind(0))
    lifted = grad.new_empty(POINTS, POINTS, *tiles.shape[2:])
    _evaluate_four(rows.unbind(1), lifted.unbind(1))
    return lifted.view(POINTS ** 2, -1, o)


def _interpolate(products: Tensor, y: Tensor) -> None:
    """Fill outputs ``y`` (N, H, W, O) from their tiles' values (36, tiles, O) at the points."""
    tiles = _as_tiles(y)
    products = products.view(POINTS, POINTS, *tiles.shape[2:])
    rows = y.new_empty(TILE, *products.shape[1:])
    _interpolate_four(products.unbind(0), rows.unbind(0))
    _interpolate_four(rows.unbind(1), tiles.unbind(1))


def _evaluate_six(d: Sequence[Tensor], out: Sequence[Tensor]) -> None:
    """Fill ``out`` with the six inputs ``d`` of a tile's row, evaluated for `_interpolate_four`."""
    even, odd = torch.add(d[4], d[2], alpha=-4), torch.add(d[3], d[1], alpha=-4)
    torch.add(even, odd, out=out[1])
    torch.sub(even, odd, out=out[2])
    even, odd = d[4] - d[2], d[3] - d[1]
    torch.add(even, odd, alpha=2, out=out[3])
    torch.add(even, odd, alpha=-2, out=out[4])
    torch.add(even, d[2] - d[0], alpha=-4, out=out[0])
    torch.add(d[5] - d[3], odd, alpha=-4, out=out[5])


def _evaluate_four(g: Sequence[Tensor], out: Sequence[Tensor]) -> None:
    """Fill ``out`` with the polynomial of the four coefficients ``g`` at the points."""
    even, odd = g[0] + g[2], g[1] + g[3]
    torch.add(even, odd, out=out[1])
    torch.sub(even, odd, out=out[2])
    even, odd = torch.add(g[0], g[2], alpha=4), torch.add(g[1], g[3], alpha=4)
    torch.add(even, odd, alpha=2, out=out[3])
    torch.add(even, odd, alpha=-2, out=out[4])
    out[0].copy_(g[0])
    out[5].copy_(g[3])


def _interpolate_four(m: Sequence[Tensor], out: Sequence[Tensor]) -> None:
    """Fill ``out`` with the four outputs of a tile's row from its products ``m`` at the points."""
    ones, twos = m[1] + m[2], m[3] + m[4]
    torch.add(m[0], ones, out=out[0])
    out[0].add_(twos)
    torch.add(ones, twos, alpha=4, out=out[2])
    ones, twos = m[1] - m[2], m[3] - m[4]
    torch.add(ones, twos, alpha=2, out=out[1])
    torch.add(m[5], ones, out=out[3])
    out[3].add_(twos, alpha=8)


@cache
def _filter_matrix(dtype: torch.dtype) -> Tensor:
    """What evaluates a filter's nine pixels at the 36 pairs of points."""
    row = torch.tensor([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]],
                       dtype=torch.float64) / 24
    return torch.kron(row, row).to(dtype)


def _covered(h: int, w: int) -> tuple[int, int]:
    """The sides of the tiles that cover ``h`` x ``w`` pixels."""
    return h + -h % TILE, w + -w % TILE


def _padded(x: Tensor, first: int, height: int, width: int) -> Tensor:
    """Put (N, C, H, W) at pixel (``first``, ``first``) into zeros of (N, height, width, C)."""
    n, c, h, w = x.shape
    pixels = x.permute(0, 2, 3, 1)
    if (height, width) == (h, w):
        return pixels.contiguous()
    padded = x.new_empty(n, height, width, c)
    padded[:, first:first + h, first:first + w] = pixels
    for border in (padded[:, :first], padded[:, first + h:],
                   padded[:, :, :first], padded[:, :, first + w:]):
        border.zero_()
    return padded


def _as_tiles(y: Tensor) -> Tensor:
    """View features (N, H, W, C) as the elements (4, 4, N, H / 4, W / 4, C) of their tiles."""
    n, h, w, c = y.shape
    return y.unflatten(2, (-1, TILE)).unflatten(1, (-1, TILE)).permute(2, 4, 0, 1, 3, 5)


def _images_at_once(x: Tensor, channels: int) -> int:
    """Images of ``x`` (N, C, H, W) whose tiles with ``channels`` fit a chunk."""
    tiles = num_tiles(x.shape) // len(x)
    return max(1, CHUNK_BYTES // (POINTS ** 2 * tiles * channels * x.element_size()))


def _channels_at_once(x: Tensor, channels: int) -> int:
    """Output channels whose filters over ``channels`` fit a chunk; a multiple of 64."""
    fitting = CHUNK_BYTES // (POINTS ** 2 * channels * x.element_size())
    return max(64, fitting // 64 * 64)
