"""Multiply-adds of a network, counted in one way for every model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from mmengine.analysis import FlopAnalyzer
from torch import Tensor, nn

#: What mmengine counts beside convolutions and matrix products, each in another way.
_LEFT_OUT = ('batch_norm', 'group_norm', 'layer_norm', 'instance_norm', 'upsample_nearest2d',
             'upsample_bilinear2d', 'adaptive_avg_pool2d', 'grid_sampler')
#: Operations that hold products inside and that nobody can look into.
_OPAQUE = ('prim::PythonOp', 'aten::_native_multi_head_attention',
           'aten::_transformer_encoder_layer_fwd')


@dataclass(frozen=True)
class Complexity:
    """What one pass through a network costs.

    Attributes:
        multiply_adds: Of its convolutions (blur pooling's included), linear layers and other matrix
            products (attention's included), biases and everything by element left out. Norm layers
            are left out, too: they are a part of the convolution once a network is deployed.
        parts: The same of each module, by its name.
        not_counted: Operations that may hold products and could not be looked into, such as
            compiled ones, and how often each ran.
    """

    multiply_adds: int
    parts: dict[str, int]
    not_counted: dict[str, int]


@torch.no_grad()
def complexity(model: nn.Module, *inputs: Tensor, **arguments: Any) -> Complexity:
    """Count the multiply-adds of one pass, in evaluation mode.

    Convolutions are counted as they are defined, whichever algorithm computes them: `FastConv2d`
    does fewer multiplications by Winograd's.

    Args:
        model: Any network; its mode is put back.
        *inputs: What its ``forward`` is called with.
        **arguments: What else it gets, by name.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> complexity(nn.Conv2d(3, 8, 3, bias=True), torch.zeros(1, 3, 6, 6)).multiply_adds
        3456
    """
    with _evaluating(model, arguments):
        analyzer = FlopAnalyzer(model, inputs)
        analyzer.unsupported_ops_warnings(False)
        analyzer.uncalled_modules_warnings(False)
        analyzer.tracer_warnings('none')
        analyzer.set_op_handle(**{f'aten::{name}': _nothing for name in _LEFT_OUT},
                               **{'aten::scaled_dot_product_attention': _attention})
        parts = {name: int(count) for name, count in analyzer.by_module().items()}
        missed = analyzer.unsupported_ops()
    opaque = {name: int(count) for name, count in missed.items() if name.startswith(_OPAQUE)}
    return Complexity(parts[''], parts, opaque)


@contextmanager
def _evaluating(model: nn.Module, arguments: dict[str, Any]) -> Iterator[None]:
    training = model.training
    model.eval()
    if arguments:  # the analyzer hands on no arguments by name
        model.forward = partial(model.forward, **arguments)
    try:
        yield
    finally:
        model.__dict__.pop('forward', None)
        model.train(training)


def _nothing(inputs: Sequence[Any], outputs: Sequence[Any]) -> int:
    return 0


def _attention(inputs: Sequence[Any], outputs: Sequence[Any]) -> Counter[str]:
    """Products of queries and keys, and of their softmax and values."""
    query, key, value = (tensor.type().sizes() for tensor in inputs[:3])
    *batch, length, width = query
    count = length * key[-2] * (width + value[-1])
    for size in batch:
        count *= size
    return Counter({'attention': count})
