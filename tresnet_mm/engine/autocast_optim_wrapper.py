"""Training under autocast without a loss scale, on any device."""

from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from mmengine.runner.amp import autocast
from torch import nn


@OPTIM_WRAPPERS.register_module()
class AutocastOptimWrapper(OptimWrapper):
    """``OptimWrapper`` whose forward runs under autocast in bfloat16.

    bfloat16 has float32's range, so that gradients need no scaling. Unlike mmengine's
    ``AmpOptimWrapper`` it works on the CPU too.

    Args:
        **kwargs: Arguments of ``OptimWrapper``.
    """

    @contextmanager
    def optim_context(self, model: nn.Module):
        with super().optim_context(model), autocast(dtype=torch.bfloat16):
            yield
