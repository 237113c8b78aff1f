"""One-cycle schedule whose peak is the optimiser's own learning rate."""

from typing import Any

from mmengine.optim import OneCycleLR, OptimWrapper
from mmengine.registry import PARAM_SCHEDULERS
from torch.optim import Optimizer


@PARAM_SCHEDULERS.register_module()
class OneCycleFromLR(OneCycleLR):
    """mmengine's ``OneCycleLR`` with ``eta_max`` taken from each parameter group's ``lr``.

    ``OneCycleLR`` overwrites the learning rates with its own ``eta_max``, so that automatic
    scaling with the batch size, ``lr_mult`` and a changed ``optimizer.lr`` have no effect and
    nothing says so. Here they set the peak.

    The cycle's length is ``end - begin``, or ``total_steps``; training may stop before its end,
    as ASL's recipe does (80 epochs laid out, 40 run).

    Args:
        optimizer: The optimiser, its groups holding the peak learning rates.
        *args: Arguments of mmengine's ``OneCycleLR``.
        **kwargs: The same by name, but for ``eta_max``.

    Raises:
        ValueError: If ``eta_max`` is given.
    """

    def __init__(self, optimizer: Optimizer | OptimWrapper, *args: Any, **kwargs: Any) -> None:
        if 'eta_max' in kwargs:
            raise ValueError(
                'OneCycleFromLR takes its peak from the optimizer: set optimizer.lr '
                f'to {kwargs["eta_max"]} instead of eta_max'
            )
        kwargs['eta_max'] = [group['lr'] for group in optimizer.param_groups]
        super().__init__(optimizer, *args, **kwargs)

    def state_dict(self) -> dict:
        """The schedule's position and settings, without mmengine's annealing function.

        The function follows from the config, and a checkpoint with it in it could be read only by
        running code, which loading refuses.
        """
        state = super().state_dict()
        state.pop('anneal_func')
        return state
