"""Mixed precision where there is an accelerator, full precision elsewhere, from one config."""

from mmengine.device import get_device
from mmengine.logging import print_log
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module(name='AutoAmpOptimWrapper')
def build_auto_amp_optim_wrapper(
    loss_scale: str | float | dict = 'dynamic', dtype: str | None = None, **kwargs
) -> OptimWrapper:
    """Build ``AmpOptimWrapper``, or ``OptimWrapper`` on a machine without an accelerator.

    ``AmpOptimWrapper`` refuses to be built on a CPU, so a config that names it could not be tried
    there.

    Args:
        loss_scale: As in ``AmpOptimWrapper``.
        dtype: ``float16`` (None) or ``bfloat16``.
        **kwargs: Arguments of ``OptimWrapper``: ``optimizer``, ``accumulative_counts``, ...
    """
    if get_device() in ('cpu', 'mps'):
        print_log('No accelerator for mixed precision: training in float32', 'current')
        return OptimWrapper(**kwargs)
    return AmpOptimWrapper(loss_scale=loss_scale, dtype=dtype, **kwargs)
