"""The module form that the loss functions share."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from .reduction import check_reduction


class LossModule(nn.Module):
    """A loss function with its constants, called as mmdet's losses are.

    The constants are attributes, by their names in the function.

    Args:
        function: Loss of predictions, targets and weight; takes ``reduction``, ``avg_factor`` and
            the constants as keywords.
        reduction: 'none', 'mean' or 'sum'.
        loss_weight: What the loss is multiplied by.
        constants: Further keywords of ``function``.

    Raises:
        ValueError: If the reduction is unknown.
    """

    def __init__(self, function: Callable[..., Tensor], reduction: str, loss_weight: float,
                 **constants: Any) -> None:
        super().__init__()
        self._function = function
        self._constants = tuple(constants)
        self.reduction = check_reduction(reduction)
        self.loss_weight = loss_weight
        for name, value in constants.items():
            setattr(self, name, value)

    def forward(self, pred: Tensor, target: Tensor, weight: Tensor | None = None,
                avg_factor: float | Tensor | None = None,
                reduction_override: str | None = None) -> Tensor:
        """Return the weighted loss; what ``pred`` and ``target`` are is said by the function."""
        return self.loss_weight * self._function(
            pred, target, weight, reduction=reduction_override or self.reduction,
            avg_factor=avg_factor, **{name: getattr(self, name) for name in self._constants})

    def extra_repr(self) -> str:
        names = (*self._constants, 'reduction', 'loss_weight')
        return ', '.join(f'{name}={getattr(self, name)!r}' for name in names)
