"""A found value beside what it has to be: the rows of the correctness parts."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


def compared(what: str, error: float, allowed: float, **more: Any) -> dict[str, Any]:
    """A row; NaN is not right."""
    return dict(what=what, error=error, allowed=allowed, right=bool(error <= allowed), **more)


def relative_error(found: Tensor, expected: Tensor) -> float:
    """L2 norm of the difference relative to that of ``expected``, both in float64."""
    found, expected = found.detach().double().cpu(), expected.detach().double().cpu()
    return float((found - expected).norm() / expected.norm().clamp(min=1e-30))


def largest_error(found: Tensor, expected: Tensor) -> float:
    """Largest deviation relative to the largest value."""
    found, expected = found.detach().cpu(), expected.detach().cpu()
    return float((found - expected).abs().max() / expected.abs().max())


@contextmanager
def full_float32() -> Iterator[None]:
    """Without TF32, whose products have 10 bits, and without algorithms chosen by trying."""
    backends = torch.backends
    before = (backends.cudnn.allow_tf32, backends.cuda.matmul.allow_tf32, backends.cudnn.benchmark)
    backends.cudnn.allow_tf32 = backends.cuda.matmul.allow_tf32 = False
    backends.cudnn.benchmark = False
    try:
        yield
    finally:
        (backends.cudnn.allow_tf32, backends.cuda.matmul.allow_tf32,
         backends.cudnn.benchmark) = before
