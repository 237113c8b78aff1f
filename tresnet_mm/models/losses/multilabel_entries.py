"""Logits, targets and weights of a multi-label loss: checked, and in full precision."""

from typing import NamedTuple

import torch
from torch import Tensor

from .chunked_binary_loss import check_range
from .loss_module import average, broadcast_weight, check_nan, should_validate


class MultiLabelEntries(NamedTuple):
    """What a loss is computed of.

    Attributes:
        x: Logits (N, C), float32 or float64.
        y: Targets (N, C) in [0, 1], like ``x``; 0 for unknown ones.
        weight: Broadcastable to (N, C), like ``x``; 1 where none was given.
        known: Boolean (N, C), which targets are not ``ignore_index``.
        logits: The logits as they were given, of any type and shape.
        validate: Whether NaN logits are an error.
    """

    x: Tensor
    y: Tensor
    weight: Tensor
    known: Tensor
    logits: Tensor
    validate: bool | None

    @property
    def known_weight(self) -> Tensor:
        """Weights (N, C), 0 for unknown entries."""
        return self.weight * self.known

    def reduce(self, loss: Tensor, reduction: str, avg_factor: float | Tensor | None) -> Tensor:
        """Reduce losses (N, C) to a number, or bring them into the shape of the logits."""
        check_nan(loss, self.logits, self.validate)
        if reduction == 'none':
            return loss.view(self.logits.shape)
        total = loss.sum()
        return total if reduction == 'sum' else average(total, avg_factor, self.known, False)


def multilabel_entries(logits: Tensor, targets: Tensor, weight: Tensor | None = None,
                       ignore_index: float | None = -1,
                       validate: bool | None = None) -> MultiLabelEntries:
    """Check what a multi-label loss was given; arguments and errors of `asymmetric_loss`."""
    if ignore_index is not None and 0 <= ignore_index <= 1:
        raise ValueError(f'ignore_index must be outside [0, 1], got {ignore_index}')
    if not logits.is_floating_point():
        raise TypeError(f'logits must be floating point, got {logits.dtype}')
    if logits.shape != targets.shape or not logits.dim():
        raise ValueError(
            f'logits of shape {tuple(logits.shape)} and targets of shape {tuple(targets.shape)} '
            'must have the same shape, classes last')
    for name, constant in (('targets', targets), ('weight', weight)):
        if constant is not None and constant.requires_grad:
            raise ValueError(f'{name} must not require a gradient: detach them')
    shape = logits.shape
    if weight is not None and logits.dim() != 2:
        weight = weight.expand(shape).reshape(-1, shape[-1])
    rows = (shape[:-1].numel(), shape[-1])
    x = logits.reshape(rows).to(torch.promote_types(logits.dtype, torch.float32))
    y = targets.reshape(rows)
    if should_validate(logits, validate) and y.dtype != torch.bool:
        check_range(y, ignore_index)
    known = torch.ones_like(y, dtype=torch.bool) if ignore_index is None else y != ignore_index
    weight = broadcast_weight(weight, x.shape)
    return MultiLabelEntries(
        x, y.to(x.dtype).masked_fill(~known, 0),
        x.new_ones((1, 1)) if weight is None else weight.to(x.dtype),
        known, logits, validate)
