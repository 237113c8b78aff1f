"""The autograd function of in-place activated batch norm, and PyTorch's operations for it."""

import math
from types import ModuleType
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from ..._compat import check_triton, is_compiling
from .group_statistics import group_statistics, update_running
from .memory_format import format_like

# From so many values, and values of a channel side by side, on group norm's kernel is the faster.
FEWEST_VALUES, FEWEST_SIDE_BY_SIDE = 1 << 18, 32


def triton_abn() -> ModuleType:
    """The module of the kernels, which needs triton.

    Raises:
        ImportError: If triton is missing or too old.
    """
    check_triton()
    from . import triton_abn
    return triton_abn


def _activate_(z: Tensor, activation: str, param: float) -> Tensor:
    if activation == 'leaky_relu':
        return F.leaky_relu_(z, param)
    if activation == 'elu':
        return F.elu_(z, param)
    return z


def _invert(y: Tensor, activation: str, param: float) -> Tensor:
    """Recover the activation's input from its output."""
    if activation == 'leaky_relu':
        return F.leaky_relu(y, 1 / param)
    if activation == 'elu':
        # An output that rounding has put on the asymptote -param has no finite input.
        ratio = (y / param).clamp(min=torch.finfo(y.dtype).eps - 1)
        return torch.where(y > 0, y, torch.log1p(ratio))
    return y


def _activation_backward(grad: Tensor, y: Tensor, activation: str, param: float) -> Tensor:
    """Gradient for the activation's input, from the one for its output ``y``."""
    if activation == 'leaky_relu':
        return torch.ops.aten.leaky_relu_backward(grad, y, param, True)
    if activation == 'elu':
        return torch.ops.aten.elu_backward(grad, param, 1, 1, True, y)
    return grad


def scale_of(weight: Tensor | None, eps: float) -> Tensor | None:
    """What the normalised input is multiplied by, (C,); None is 1."""
    return None if weight is None else weight.abs().add_(eps)


def normalise_activate(x: Tensor, mean: Tensor, var: Tensor, scale: Tensor | None,
                       bias: Tensor | None, eps: float, activation: str, param: float,
                       backend: str) -> Tensor:
    """The layer's output by given statistics (C,)."""
    if backend == 'triton':
        factor = torch.rsqrt(var.float() + eps)
        factor = factor if scale is None else factor * scale
        bias = torch.zeros_like(factor) if bias is None else bias.float()
        return triton_abn().normalise(x, mean.float(), factor, bias, activation, param)
    z = F.batch_norm(x, mean, var, scale, bias, False, 0.0, eps)
    return _activate_(z, activation, param)


class ABNFunction(torch.autograd.Function):
    """The layer's two directions on PyTorch's own batch-norm kernels, or on Triton's.

    Forward updates the running statistics. Backward hands PyTorch's kernel the recovered
    ``z = x_hat * scale + bias`` as if that were the layer's input: what normalises it is then the
    mean ``bias`` and the standard deviation ``scale``.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None,
                running_mean: Tensor, running_var: Tensor, training: bool,
                momentum: float | Tensor, eps: float, activation: str, param: float,
                backend: str, group: dist.ProcessGroup | None) -> Tensor:
        scale = scale_of(weight, eps)
        ctx.settings = training, eps, activation, param, backend, group
        ctx.count = x.numel() // x.shape[1]
        if not training:
            invstd = torch.rsqrt(running_var + eps)
            y = normalise_activate(
                x, running_mean, running_var, scale, bias, eps, activation, param, backend)
        elif (backend == 'torch' and group is None and not isinstance(momentum, Tensor)
              and not _has_fast_moments(x)):
            z, _, invstd = torch.native_batch_norm(
                x, scale, bias, running_mean, running_var, True, momentum, eps)
            y = _activate_(z, activation, param)
        else:
            mean, var = (_statistics if backend == 'torch' else triton_abn().statistics)(x)
            mean, var, ctx.count = group_statistics(mean, var, ctx.count, group)
            update_running(running_mean, running_var, mean, var, ctx.count, momentum)
            invstd = torch.rsqrt(var + eps)
            y = normalise_activate(x, mean, var, scale, bias, eps, activation, param, backend)
        ctx.save_for_backward(y, weight, scale, bias, invstd)
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        y, weight, scale, bias, invstd = ctx.saved_tensors
        need_x, need_weight, need_bias = ctx.needs_input_grad[:3]
        scale = torch.ones_like(invstd) if scale is None else scale
        shift = torch.zeros_like(invstd) if bias is None else bias
        # The kernels want both in one memory format; the output's is the one to go on with.
        grad = format_like(grad, y)
        by = _backward_by_torch if ctx.settings[4] == 'torch' else _backward_by_triton
        grad_x, grad_scale, grad_bias = by(
            ctx, grad, y, scale, shift, invstd, need_x, need_weight or need_bias)
        # The scale is |weight| + eps, and |weight| a leaky ReLU of slope -1: one operation instead
        # of three, which cost a tenth of a small layer. At 0 either sign lets the weight grow.
        grad_weight = torch.ops.aten.leaky_relu_backward(
            grad_scale, weight, -1, False) if need_weight else None
        return grad_x, grad_weight, grad_bias if need_bias else None, *[None] * 9


def _backward_by_torch(ctx: Any, grad: Tensor, y: Tensor, scale: Tensor, bias: Tensor,
                       invstd: Tensor, need_x: bool, need_sums: bool) -> tuple:
    """Gradients of input, scale and bias, as far as they are needed."""
    training, eps, activation, param, _, group = ctx.settings
    z = _invert(y, activation, param)
    grad = _activation_backward(grad, y, activation, param)
    # The kernel's own factor is weight / std = weight / scale; ours is scale * invstd.
    weight_of_kernel = scale * scale * invstd
    per_process = not training or group is not None
    need_sums = need_sums or (training and group is not None)
    grad_x, grad_scale, grad_bias = torch.ops.aten.native_batch_norm_backward(
        grad, z, weight_of_kernel, None, None, bias, 1 / scale, True, eps,
        [need_x and not per_process, need_sums, need_sums])
    if need_x and not training:
        grad_x = grad * _per_channel(scale * invstd, grad)
    elif need_x and group is not None:
        grad_x = _grad_of_group(
            grad, z, scale, bias, invstd, grad_scale, grad_bias, ctx.count, group)
    return grad_x, grad_scale, grad_bias


def _backward_by_triton(ctx: Any, grad: Tensor, y: Tensor, scale: Tensor, bias: Tensor,
                        invstd: Tensor, need_x: bool, need_sums: bool) -> tuple:
    """Gradients of input, scale and bias, as far as they are needed."""
    training, _, activation, param, _, group = ctx.settings
    constants = scale.float(), bias.float()
    grad_x = means = None
    sums: Any = (None, None)
    if need_sums or (need_x and training):
        sums = triton_abn().gradient_sums(grad, y, *constants, activation, param)
    if need_x:
        if training:
            means = _over_group(sums, group) / ctx.count
        grad_x = triton_abn().input_gradient(
            grad, y, *constants, (scale * invstd).float(), means, activation, param)
    return grad_x, *sums


def _per_channel(values: Tensor, like: Tensor) -> Tensor:
    """Reshape (C,) for broadcasting over ``like`` (N, C, ...), in its dtype."""
    return values.to(like.dtype).view(1, -1, *[1] * (like.dim() - 2))


def _has_fast_moments(x: Tensor) -> bool:
    """Whether group norm's kernel takes the statistics faster than batch norm's.

    On a CPU that is so where a channel's values lie side by side: batch norm's goes over them one
    by one. Below float32 it would round the statistics.
    """
    return (not is_compiling() and x.device.type == 'cpu'
            and x.dtype in (torch.float32, torch.float64)
            and x.numel() >= FEWEST_VALUES and x.is_contiguous()
            and math.prod(x.shape[2:]) >= FEWEST_SIDE_BY_SIDE)


def _statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance (C,), at least float32, of features (N, C, ...)."""
    if _has_fast_moments(x):
        images, channels = x.shape[:2]
        # Each channel of each image as a group. Without an eps, which would have to come off again.
        _, means, invstds = torch.native_group_norm(
            x, None, None, images, channels, math.prod(x.shape[2:]), channels, 0.0)
        between, mean = torch.var_mean(means, 0, correction=0)
        return mean, invstds.pow(-2).mean(0) + between
    wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    var, mean = torch.var_mean(wide, [0, *range(2, x.dim())], correction=0)
    return mean, var


def _over_group(sums: Tensor, group: dist.ProcessGroup | None) -> Tensor:
    """The sums over all processes; those of this one stay, for the parameters' gradients."""
    if group is None:
        return sums
    total = sums.clone()
    dist.all_reduce(total, group=group)
    return total


def _grad_of_group(grad: Tensor, z: Tensor, scale: Tensor, bias: Tensor, invstd: Tensor,
                   grad_scale: Tensor, grad_bias: Tensor, count: int | Tensor,
                   group: dist.ProcessGroup) -> Tensor:
    """Gradient for the input where the statistics are those of ``count`` values of the group.

    With the sums over the group ``s = sum(grad * x_hat)`` and ``b = sum(grad)`` it is
    ``scale * invstd * (grad - b / count - x_hat * s / count)``.
    """
    s, b = _over_group(torch.stack([grad_scale, grad_bias]), group) / count
    x_hat = (z - _per_channel(bias, z)) / _per_channel(scale, z)
    centred = grad - _per_channel(b, z) - x_hat * _per_channel(s, z)
    return centred * _per_channel(scale * invstd, z)
