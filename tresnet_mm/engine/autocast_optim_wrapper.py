"""Mixed precision where mmengine's ``AmpOptimWrapper`` does not go."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.logging import print_log
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from mmengine.runner.amp import autocast
from torch import nn


@OPTIM_WRAPPERS.register_module()
class AutocastOptimWrapper(OptimWrapper):
    """``OptimWrapper`` whose forward runs under autocast in bfloat16, on any device.

    bfloat16 has float32's range, so that gradients need no scaling. Unlike mmengine's
    ``AmpOptimWrapper`` it works on the CPU too. Takes the arguments of ``OptimWrapper``.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        with super().optim_context(model), autocast(dtype=torch.bfloat16):
            yield


@OPTIM_WRAPPERS.register_module(name='AutoAmpOptimWrapper')
def build_auto_amp_optim_wrapper(loss_scale: str | float | dict = 'dynamic',
                                 dtype: str | None = None, **kwargs: Any) -> OptimWrapper:
    """Build ``AmpOptimWrapper``, or ``OptimWrapper`` on a machine without an accelerator.

    ``AmpOptimWrapper`` refuses to be built on a CPU, so a config that names it could not be tried
    there.

    Args:
        loss_scale: As in ``AmpOptimWrapper``.
        dtype: 'float16' (None) or 'bfloat16'.
        **kwargs: Arguments of ``OptimWrapper``: ``optimizer``, ``accumulative_counts``, ...
    """
    if get_device() in ('cpu', 'mps'):
        print_log('No accelerator for mixed precision: training in float32', 'current')
        return OptimWrapper(**kwargs)
    return AmpOptimWrapper(loss_scale=loss_scale, dtype=dtype, **kwargs)
