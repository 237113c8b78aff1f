"""The Triton kernels of in-place activated batch norm, for `triton_abn`.

Each program works on one tile of P positions x C channels, in float32. The features' strides say
which of the two memory formats they are in; a stride of 1 is known to the compiler.
"""

# What the kernels' arguments are, Triton finds out: pointers, numbers and constants.
# mypy: allow-untyped-defs, allow-incomplete-defs

import triton
import triton.language as tl


@triton.jit
def _tile(of_an_image, positions, channels, image_stride, position_stride, channel_stride,
          P: tl.constexpr, C: tl.constexpr):
    """This program's tile: where it starts, its elements from there, which exist, its channels."""
    image = (tl.program_id(0) // of_an_image).to(tl.int64)
    first = tl.program_id(0) % of_an_image * P
    start = (image * image_stride + first.to(tl.int64) * position_stride
             + (tl.program_id(1) * C).to(tl.int64) * channel_stride)
    position = tl.arange(0, P)[:, None]
    channel = tl.arange(0, C)[None, :]
    exists = (first + position < positions) & (tl.program_id(1) * C + channel < channels)
    return (start, position * position_stride + channel * channel_stride, exists,
            tl.program_id(1) * C + tl.arange(0, C))


@triton.jit
def _expm1(x):
    """``exp(x) - 1`` for x <= 0 without cancellation (Kahan)."""
    u = tl.exp(x)
    exact = (u == 1) | (u == 0)
    ratio = (u - 1) * x / tl.log(tl.where(exact, 2.0, u))
    return tl.where(u == 1, x, tl.where(u == 0, -1.0, ratio))


@triton.jit
def _log1p(x):
    """``log(1 + x)`` for x > -1 without cancellation (Kahan)."""
    u = 1 + x
    return tl.where(u == 1, x, tl.log(u) * x / tl.where(u == 1, 1.0, u - 1))


@triton.jit
def _recover(grad, y, scale, bias, param, activation: tl.constexpr, eps: tl.constexpr):
    """The gradient before the activation, and the normalised input, from the output's."""
    z = y
    if activation == 'leaky_relu':
        z = tl.where(y > 0, y, y / param)
        grad = tl.where(y > 0, grad, grad * param)
    elif activation == 'elu':
        # An output that rounding has put on the asymptote -param has no finite input.
        ratio = tl.where(y / param < eps - 1, eps - 1, y / param)
        z = tl.where(y > 0, y, _log1p(ratio))
        grad = tl.where(y > 0, grad, grad * (y + param))
    return grad, (z - bias[None, :]) / scale[None, :]


@triton.jit
def partial_statistics(x_ptr, mean_ptr, squares_ptr, of_an_image, positions, channels, image_stride,
                       position_stride, channel_stride, P: tl.constexpr, C: tl.constexpr):
    """Mean, and sum of the squared distances from it, of one tile, into (tiles, channels) each."""
    start, offset, exists, channel = _tile(of_an_image, positions, channels, image_stride,
                                           position_stride, channel_stride, P, C)
    x = tl.load(x_ptr + start + offset, mask=exists, other=0).to(tl.float32)
    tile = tl.program_id(0)
    count = tl.minimum(positions - tile % of_an_image * P, P).to(tl.float32)
    mean = tl.sum(x, 0) / count
    distance = tl.where(exists, x - mean[None, :], 0)
    error = tl.sum(distance, 0) / count  # of the mean, by rounding
    squares = tl.sum(distance * distance, 0) - error * error * count
    out = tile.to(tl.int64) * channels + channel
    tl.store(mean_ptr + out, mean + error, mask=channel < channels)
    tl.store(squares_ptr + out, squares, mask=channel < channels)


@triton.jit
def combined_statistics(means_ptr, squares_ptr, mean_ptr, var_ptr, tiles, of_an_image, positions,
                        channels, count, P: tl.constexpr, ROWS: tl.constexpr, C: tl.constexpr):
    """Mean and biased variance of channels, from those of their tiles."""
    channel = tl.program_id(0) * C + tl.arange(0, C)
    inside = channel < channels
    origin = tl.load(means_ptr + channel, mask=inside, other=0)  # sums of small numbers are exact
    mean = origin
    for first in range(0, tiles, ROWS):
        values, exists, place = _rows(first, tiles, of_an_image, positions, channels, channel,
                                      inside, P, ROWS)
        means = tl.load(means_ptr + place, mask=exists, other=0)
        mean += tl.sum(tl.where(exists, means - origin[None, :], 0) * values, 0) / count
    squares = tl.zeros([C], tl.float32)
    for first in range(0, tiles, ROWS):
        values, exists, place = _rows(first, tiles, of_an_image, positions, channels, channel,
                                      inside, P, ROWS)
        means = tl.load(means_ptr + place, mask=exists, other=0)
        distance = tl.where(exists, means - mean[None, :], 0)
        within = tl.load(squares_ptr + place, mask=exists, other=0)
        squares += tl.sum(within + distance * distance * values, 0)
    squares = tl.where(squares < 0, 0, squares)  # by rounding, where all values are the same
    tl.store(mean_ptr + channel, mean, mask=inside)
    tl.store(var_ptr + channel, squares / count, mask=inside)


@triton.jit
def _rows(first, tiles, of_an_image, positions, channels, channel, inside, P: tl.constexpr,
          ROWS: tl.constexpr):
    """Some tiles' numbers of values, which results exist, and where in (tiles, channels)."""
    row = first + tl.arange(0, ROWS)
    values = tl.minimum(positions - row % of_an_image * P, P).to(tl.float32)[:, None]
    exists = (row < tiles)[:, None] & inside[None, :]
    return values, exists, row.to(tl.int64)[:, None] * channels + channel[None, :]


@triton.jit
def normalised(x_ptr, mean_ptr, factor_ptr, bias_ptr, y_ptr, param, of_an_image, positions,
               channels, image_stride, position_stride, channel_stride,
               activation: tl.constexpr, P: tl.constexpr, C: tl.constexpr):
    """Normalises and activates one tile."""
    start, offset, exists, channel = _tile(of_an_image, positions, channels, image_stride,
                                           position_stride, channel_stride, P, C)
    inside = channel < channels
    x = tl.load(x_ptr + start + offset, mask=exists, other=0).to(tl.float32)
    mean = tl.load(mean_ptr + channel, mask=inside, other=0)
    factor = tl.load(factor_ptr + channel, mask=inside, other=0)
    z = (x - mean[None, :]) * factor[None, :]
    z += tl.load(bias_ptr + channel, mask=inside, other=0)[None, :]
    if activation == 'leaky_relu':
        z = tl.where(z > 0, z, z * param)
    elif activation == 'elu':
        z = tl.where(z > 0, z, _expm1(tl.where(z > 0, 0, z)) * param)
    tl.store(y_ptr + start + offset, z.to(y_ptr.dtype.element_ty), mask=exists)


@triton.jit
def partial_sums(grad_ptr, y_ptr, scale_ptr, bias_ptr, weighted_ptr, sum_ptr, param, of_an_image,
                 positions, channels, image_stride, position_stride, channel_stride,
                 activation: tl.constexpr, eps: tl.constexpr, P: tl.constexpr, C: tl.constexpr):
    """Sums over one tile of ``grad * x_hat`` and of ``grad``, into (tiles, channels) each."""
    start, offset, exists, channel = _tile(of_an_image, positions, channels, image_stride,
                                           position_stride, channel_stride, P, C)
    inside = channel < channels
    scale = tl.load(scale_ptr + channel, mask=inside, other=1)
    bias = tl.load(bias_ptr + channel, mask=inside, other=0)
    grad, x_hat = _recover(
        tl.load(grad_ptr + start + offset, mask=exists, other=0).to(tl.float32),
        tl.load(y_ptr + start + offset, mask=exists, other=0).to(tl.float32),
        scale, bias, param, activation, eps)
    out = tl.program_id(0).to(tl.int64) * channels + channel
    tl.store(weighted_ptr + out, tl.sum(grad * x_hat, 0), mask=inside)
    tl.store(sum_ptr + out, tl.sum(grad, 0), mask=inside)


@triton.jit
def input_gradient(grad_ptr, y_ptr, scale_ptr, bias_ptr, factor_ptr, means_ptr, grad_x_ptr, param,
                   of_an_image, positions, channels, image_stride, position_stride,
                   channel_stride, activation: tl.constexpr, eps: tl.constexpr,
                   centred: tl.constexpr, P: tl.constexpr, C: tl.constexpr):
    """The input's gradient of one tile."""
    start, offset, exists, channel = _tile(of_an_image, positions, channels, image_stride,
                                           position_stride, channel_stride, P, C)
    inside = channel < channels
    scale = tl.load(scale_ptr + channel, mask=inside, other=1)
    bias = tl.load(bias_ptr + channel, mask=inside, other=0)
    grad, x_hat = _recover(
        tl.load(grad_ptr + start + offset, mask=exists, other=0).to(tl.float32),
        tl.load(y_ptr + start + offset, mask=exists, other=0).to(tl.float32),
        scale, bias, param, activation, eps)
    if centred:
        grad -= tl.load(means_ptr + channels + channel, mask=inside, other=0)[None, :]
        grad -= x_hat * tl.load(means_ptr + channel, mask=inside, other=0)[None, :]
    grad *= tl.load(factor_ptr + channel, mask=inside, other=0)[None, :]
    tl.store(grad_x_ptr + start + offset, grad.to(grad_x_ptr.dtype.element_ty), mask=exists)
