"""The in-place ABN's output and gradients against its definition in float64."""
from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from tresnet_mm._compat import TORCH
from tresnet_mm.models.layers import InPlaceABN

from ..networks import FORMATS
from .comparison import compared, full_float32, relative_error
from .norms import unusable
from .parts import Absent, Row
from .settings import Settings

ACTIVATIONS = (('leaky_relu', 0.01), ('elu', 1.0), ('identity', 1.0))
# Relative L2 error: some roundings of each type, of which sums over channels see more.
ALLOWED = {torch.float32: 2e-5, torch.float16: 20 * 2.**-10, torch.bfloat16: 20 * 2.**-7}

NEAR_0 = 1e-4


def definition(layer: InPlaceABN, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """``act(x_hat * (|weight| + eps) + bias)`` of features (N, C, H, W), in their precision."""
    if layer.training:
        var, mean = torch.var_mean(x, (0, 2, 3), correction=0)
    else:
        mean, var = layer.running_mean.to(x.dtype), layer.running_var.to(x.dtype)
    mean, var, weight, bias = (value[:, None, None] for value in (mean, var, weight, bias))
    z = (x - mean) / (var + layer.eps).sqrt() * (weight.abs() + layer.eps) + bias
    if layer.activation == 'identity':
        return z
    activate = dict(leaky_relu=F.leaky_relu, elu=F.elu)[layer.activation]
    return activate(z, layer.activation_param)


def backend(name: str) -> Callable[[Settings], list[Row]]:
    """The part of one backend: every dtype, format, activation and mode."""
    def measure(settings: Settings) -> list[Row]:
        reason = unusable(name, settings, torch.float32)
        if reason is not None and not (name == 'triton' and settings.on_gpu):
            raise Absent(f'backend {name!r}: {reason}')  # on a GPU it has to run
        with full_float32():
            return list(_compare(name, settings))
    return measure


def _compare(name: str, settings: Settings) -> Iterator[Row]:
    dtypes = [dtype for dtype in ALLOWED
              if settings.on_gpu or TORCH >= (2, 4) or dtype != torch.float16]
    cases = itertools.product(dtypes, FORMATS, settings.exact_shapes, ACTIVATIONS, (True, False))
    for dtype, label, shape, (activation, param), training in cases:
        if shape != settings.exact_shapes[0] and not (training and activation == 'leaky_relu'):
            continue  # each case compiles kernels of its own
        torch.manual_seed(0)
        layer = InPlaceABN(
            shape[1], activation=activation, activation_param=param, backend=name)
        with torch.no_grad():
            layer.weight.uniform_(0.5, 1.5)[::3] *= -1
            layer.bias.normal_(0, 0.3)
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2)
        layer.to(settings.device).train(training)
        x = (torch.randn(shape) * 2 + 1).to(settings.device, dtype)
        x = x.to(memory_format=FORMATS[label])
        errors = _errors(layer, x)
        what = ', '.join([str(dtype).removeprefix('torch.'), label, 'x'.join(map(str, shape)),
                          activation, 'training' if training else 'evaluation'])
        worst = max(errors, key=lambda key: float('inf') if errors[key] != errors[key]
                    else errors[key])
        yield compared(what, errors[worst], ALLOWED[dtype], worst=worst)


def _errors(layer: InPlaceABN, x: Tensor) -> dict[str, float]:
    """Relative L2 errors of the output and the three gradients."""
    leaves = [t.detach().clone().requires_grad_() for t in (x, layer.weight, layer.bias)]
    wide = [t.detach().double().requires_grad_() for t in leaves]
    expected = definition(layer, *wide)
    # A copy, since the compiled package overwrites its input.
    found = torch.func.functional_call(
        layer, dict(weight=leaves[1], bias=leaves[2]), leaves[0].clone())
    # Rounded to the features' type, so that both see the same gradient; and 0 where rounding
    # decides the sign before the activation, so that either slope is right.
    grad = torch.randn_like(expected).to(x.dtype)
    grad[(expected < NEAR_0) & (expected > -NEAR_0 * layer.activation_param)] = 0
    pairs = [(found, expected), *zip(
        torch.autograd.grad(found, leaves, grad),
        torch.autograd.grad(expected, wide, grad.double()), strict=True)]
    names = ('output', 'gradient of the input', 'of the weight', 'of the bias')
    return {name: relative_error(*pair) for name, pair in zip(names, pairs, strict=True)}
