"""Given weights of several tasks' losses, by the names of the tasks."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor


def weights_by_name(weight: float | Mapping[str, float], names: Sequence[str]) -> dict[str, float]:
    """The weight of each head: the one of all, or its own, 1 where it has none.

    Raises:
        ValueError: If a weight is of a head that is not there.
    """
    if not isinstance(weight, Mapping):
        return dict.fromkeys(names, weight)
    if strangers := sorted(set(weight) - set(names)):
        raise ValueError(f'image_loss_weight names {strangers}, the heads are {list(names)}')
    return {name: weight.get(name, 1.0) for name in names}


def scale_losses(losses: dict, weight: float | Tensor) -> dict:
    """Multiply the entries that mmengine sums up: those with ``loss`` in their name."""
    def scale(value: Any) -> Any:
        return [scale(v) for v in value] if isinstance(value, (list, tuple)) else value * weight

    return {k: scale(v) if 'loss' in k else v for k, v in losses.items()}
