"""Samples, and the checks that every loss has to pass against its formula and as a module."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
from mmengine.registry import MODELS
from torch import Tensor

from tresnet_mm.models.losses.loss_module import LossModule

from .reference import gradient

LossFunction = Callable[..., Tensor]


def draw(shape=(6, 4), soft=False, seed=0, dtype=torch.float64):
    """Logits that require a gradient, and targets."""
    generator = torch.Generator().manual_seed(seed)
    logits = 4 * torch.randn(shape, generator=generator, dtype=dtype)
    noise = torch.rand(shape, generator=generator, dtype=dtype)
    return logits.requires_grad_(), noise if soft else (noise < 0.3).to(dtype)


def check_formula(loss_of: LossFunction, formula: LossFunction, soft: bool) -> None:
    """A loss with a value for each entry is its formula in values, gradients and reductions."""
    x, y = draw((30, 7), soft)
    known = draw((30, 7), seed=3)[1] == 0
    weight = torch.linspace(0.5, 2, 7, dtype=torch.float64)
    marked, expected = y.masked_fill(~known, -1), formula(x, y) * weight * known
    loss = loss_of(x, marked, weight, reduction='none')
    torch.testing.assert_close(loss, expected, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(gradient(loss, x), gradient(expected, x), rtol=1e-9, atol=1e-12)
    total = expected.sum()
    torch.testing.assert_close(loss_of(x, marked, weight), total)
    torch.testing.assert_close(loss_of(x, marked, weight, reduction='mean'), total / known.sum())
    torch.testing.assert_close(
        loss_of(x, marked, weight, reduction='mean', avg_factor=torch.tensor(8.0)), total / 8)


def check_module(kind: type[LossModule], function: LossFunction, call: dict[str, Any] | None = None,
                 **constants: Any) -> None:
    """A loss's module is its function with the same defaults, and takes all of its constants.

    Args:
        kind: The module.
        function: What it calls.
        call: Keywords of a call of either.
        constants: For each constant of the module a value that is not the default.
    """
    x, y = draw()
    call = call or {}
    theirs, ours = ({name: parameter.default for name, parameter in
                     inspect.signature(form).parameters.items()} for form in (function, kind))
    assert ours.pop('loss_weight') == 1
    assert ours == {name: theirs[name] for name in ours}
    assert set(theirs) - {'logits', 'targets', 'weight', 'avg_factor', *call} == set(ours)

    constants = dict(reduction='sum', ignore_index=255, validate=False) | constants
    assert constants.keys() == ours.keys()
    module = MODELS.build(dict(type=kind.__name__, loss_weight=3, **constants))
    assert type(module) is kind
    marked = y.masked_fill(draw(seed=3)[1] > 0, 255)
    expected = 3 * function(x, marked, **constants, **call)
    torch.testing.assert_close(module(x, marked, **call), expected, rtol=0, atol=0)
    plain = kind(ignore_index=255, reduction='sum')
    assert module(x, marked, **call) != 3 * plain(x, marked, **call)
    torch.testing.assert_close(kind()(x, y, **call), function(x, y, **call), rtol=0, atol=0)
    assert all(f'{name}={value!r}' in repr(module) for name, value in constants.items())

    with pytest.raises(ValueError, match=r'target 2.0 is outside'):
        kind()(x, 2 * y, **call)
    kind(validate=False)(x, 2 * y, **call)


def check_constant(kind: type[LossModule], function: LossFunction, name: str, value: Any,
                   **call: Any) -> None:
    """A constant out of its range is named by the function, and by the module before any batch."""
    x, y = draw()
    with pytest.raises(ValueError, match=rf'{name} must .* got {value!r}'):
        kind(**{name: value})
    with pytest.raises(ValueError, match=rf'{name} must .* got {value!r}'):
        function(x, y, **{name: value}, **call)
