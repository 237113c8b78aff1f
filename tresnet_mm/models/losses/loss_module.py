"""What the losses share: the module form, mmdet's conventions of reduction, checks."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ..._compat import is_compiling

REDUCTIONS = ('none', 'mean', 'sum')


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
        check_reduction(reduction)
        self.reduction = reduction
        self.loss_weight = loss_weight
        for name, value in constants.items():
            setattr(self, name, value)

    def forward(self, pred: Tensor, target: Tensor, weight: Tensor | None = None,
                avg_factor: float | Tensor | None = None,
                reduction_override: str | None = None, **more: Any) -> Tensor:
        """Return the weighted loss; what the arguments are is said by the function."""
        return self.loss_weight * self._function(
            pred, target, weight, reduction=reduction_override or self.reduction,
            avg_factor=avg_factor, **more,
            **{name: getattr(self, name) for name in self._constants})

    def extra_repr(self) -> str:
        names = (*self._constants, 'reduction', 'loss_weight')
        return ', '.join(f'{name}={getattr(self, name)!r}' for name in names)


def check_reduction(reduction: str, avg_factor: float | Tensor | None = None) -> None:
    """Raise ValueError for an unknown reduction, or for 'sum' with an ``avg_factor``."""
    if reduction not in REDUCTIONS:
        raise ValueError(f'reduction must be one of {REDUCTIONS}, got {reduction!r}')
    if avg_factor is not None and reduction == 'sum':
        raise ValueError("avg_factor can not be used with reduction='sum': use 'mean'")


def average(total: Tensor, avg_factor: float | Tensor | None, entries: Tensor,
            ignore_index: float | None = None) -> Tensor:
    """Divide a sum of losses for the reduction 'mean'.

    Args:
        total: The sum.
        avg_factor: What to divide by. As in mmdet, a factor of 0 is no division by 0.
        entries: Without ``avg_factor`` their number is divided by, 1 at least.
        ignore_index: Entries of this value do not count.
    """
    if avg_factor is not None:
        return total / (avg_factor + torch.finfo(torch.float32).eps)
    if ignore_index is None:
        return total / max(entries.numel(), 1)
    return total / (entries != ignore_index).sum().clamp(min=1)


def broadcast_weight(weight: Tensor | None, shape: torch.Size) -> Tensor | None:
    """Bring a weight into a form that broadcasts to predictions of ``shape`` (N, C).

    Args:
        weight: (N,) or (N, 1) per sample, (C,) or (1, C) per class, (N, C), or (N * C,). A vector
            that fits more than one is taken for the first of these.
        shape: Shape of the predictions.

    Raises:
        ValueError: If it has none of these shapes.
    """
    if weight is None:
        return None
    num_samples, num_classes = shape
    views = ((num_samples, 1), (1, num_classes), (num_samples, num_classes))
    sizes = (num_samples, num_classes, num_samples * num_classes)
    if weight.dim() == 1 and weight.numel() in sizes:
        return weight.view(views[sizes.index(weight.numel())])
    if tuple(weight.shape) in views:
        return weight
    raise ValueError(
        f'weight of shape {tuple(weight.shape)} does not fit predictions of shape {tuple(shape)}: '
        f'expected one of {", ".join(f"({size},)" for size in sizes)}, '
        f'{", ".join(map(str, views))}'
    )


def should_validate(pred: Tensor, validate: bool | None) -> bool:
    """Whether values are to be checked: None means on the CPU only; never while compiling."""
    on_cpu = pred.device.type == 'cpu'  # elsewhere the host would wait for the device
    return (on_cpu if validate is None else validate) and not is_compiling()


def check_nan(loss: Tensor, logits: Tensor, validate: bool | None) -> None:
    """Raise ValueError if there are NaN logits; looks at them only where the loss is NaN."""
    if not should_validate(logits, validate):
        return
    if loss.detach().sum().isnan():
        nan = logits.detach().isnan()
        if nan.any():
            first = tuple(nan.nonzero()[0].tolist())
            raise ValueError(
                f'{int(nan.sum())} of {nan.numel()} logits are NaN, the first at {first}: '
                'the model has diverged, or its input holds NaN'
            )
