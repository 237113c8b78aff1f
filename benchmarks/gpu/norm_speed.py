"""The norm's layer alone in half precision: how often it goes over the features, and how fast."""
from __future__ import annotations

from functools import partial

import torch

from .. import layers, timing
from ..networks import FORMATS
from .norms import unusable
from .parts import Row
from .settings import Settings

#: Passes over the features of a step, read or written, by the kernels that a GPU runs one after
#: the other. Batch norm: 3 forwards, 5 backwards, its leaky ReLU in place 2 and 3.
PASSES = {'batch norm + leaky ReLU': 13, 'InPlaceABN': 15, 'InPlaceABN, triton': 8,
          'inplace-abn': 10, 'copy': 2}
BACKENDS = {'InPlaceABN, triton': 'triton', 'inplace-abn': 'inplace_abn'}


def norms(settings: Settings) -> list[Row]:
    """Forward and backward of each layer, and a copy of the features, by shape and format."""
    rows: list[Row] = []
    reasons = {name: unusable(backend, settings) for name, backend in BACKENDS.items()}
    for channels, side in settings.norm_shapes:
        shape = (settings.norm_batch, channels, side, side)
        for memory_format in FORMATS.values():
            built = {name: layer for name, layer in
                     layers.norm_layers(channels, settings.device).items()
                     if reasons.get(name) is None}
            rows += layers.measure(built, shape, memory_format, settings.arguments(),
                                   layers.gradient_error, settings.half)
            rows.append(_copy(shape, memory_format, settings))
    itemsize = torch.finfo(settings.half).bits // 8
    for row in rows if settings.on_gpu else ():  # a CPU's kernels make other passes
        elements = torch.Size(map(int, row['shape'].split('x'))).numel()
        row['passes'] = PASSES[row['layer']]
        row['GB/s'] = row['passes'] * elements * itemsize / row['ms'] / 1e6
    return rows + [dict(layer=name, absent=reason) for name, reason in reasons.items() if reason]


def _copy(shape: tuple[int, ...], memory_format: torch.memory_format, settings: Settings) -> Row:
    """How fast the device reads and writes features at best."""
    x = torch.randn(shape, device=settings.device).to(settings.half, memory_format=memory_format)
    y = torch.empty_like(x)
    times = timing.alternate({'copy': partial(y.copy_, x)}, settings.rounds * 5)
    label = next(name for name, value in FORMATS.items() if value == memory_format)
    return dict(layer='copy', shape='x'.join(map(str, shape)), format=label,
                ms=times['median']['copy'] * 1e3, spread=times['spread']['copy'])
