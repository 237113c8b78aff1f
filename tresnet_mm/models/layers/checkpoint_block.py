"""Gradient checkpointing that counts a batch's statistics once."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


def checkpoint_block(block: nn.Module, x: Tensor) -> Tensor:
    """Return ``block(x)``, keeping only ``x`` for backward, which computes the rest again.

    The norm layers' running statistics change in the first computation only.
    """
    return checkpoint(block, x, use_reentrant=False,
                      context_fn=lambda: (nullcontext(), _statistics_kept(block)))


@contextmanager
def _statistics_kept(module: nn.Module) -> Iterator[None]:
    """Let nothing count twice that a checkpointed ``module`` computes again for backward."""
    before = [(norm, norm.momentum, norm.num_batches_tracked, norm.num_batches_tracked.clone())
              for norm in module.modules()
              if isinstance(norm, _BatchNorm) and norm.training
              and norm.num_batches_tracked is not None]
    for norm, *_ in before:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum, tracked, count in before:
            norm.momentum = momentum
            tracked.copy_(count)
