"""What the losses share with mmdet's conventions: reductions, averaging factors, weights."""

import torch
from torch import Tensor

REDUCTIONS = ('none', 'mean', 'sum')


def check_reduction(reduction: str, avg_factor: float | Tensor | None = None) -> str:
    """Return ``reduction``; raise ValueError for an unknown one, or a sum with ``avg_factor``."""
    if reduction not in REDUCTIONS:
        raise ValueError(f'reduction must be one of {REDUCTIONS}, got {reduction!r}')
    if avg_factor is not None and reduction == 'sum':
        raise ValueError("avg_factor can not be used with reduction='sum': use 'mean'")
    return reduction


def average(total: Tensor, avg_factor: float | Tensor) -> Tensor:
    """Divide a sum by ``avg_factor`` as mmdet does: a factor of 0 is no division by 0."""
    return total / (avg_factor + torch.finfo(torch.float32).eps)


def broadcast_weight(weight: Tensor | None, shape: torch.Size) -> Tensor | None:
    """Bring a weight into a form that broadcasts to predictions of ``shape`` (N, C).

    Args:
        weight: (N,) or (N, 1) per sample, (C,) or (1, C) per class, (N, C), or (N * C,). A vector
            that fits more than one is taken for the first of these.
        shape: Shape of the predictions.

    Raises:
        ValueError: if it has none of these shapes.
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
