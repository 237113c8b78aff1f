"""Losses of targets of which some are unknown."""

from typing import Any

from torch import Tensor, nn

#: The target of labels that nobody has looked at.
UNKNOWN = -1


def loss_of_known(loss: nn.Module, logits: Tensor, targets: Tensor, known: Tensor | None,
                  weight: Tensor | None) -> Tensor:
    """Call a loss so that unknown targets have no part in it.

    Args:
        loss: Called as ``loss(logits, targets)``, with ``weight`` and ``avg_factor`` where needed.
        logits: (N, num_classes).
        targets: (N, num_classes) in [0, 1], or `UNKNOWN`.
        known: Boolean (N, num_classes), which targets are known; None means all.
        weight: (N, num_classes), at least 0, of the entries; None means 1.

    Returns:
        What the loss gives.
    """
    given: dict[str, Any] = {} if weight is None else dict(weight=weight)
    if known is None or _leaves_out_unknown(loss):
        return loss(logits, targets, **given)
    if getattr(loss, 'reduction', None) == 'mean':
        given['avg_factor'] = known.sum()
    given['weight'] = known.to(targets) if weight is None else known * weight
    return loss(logits, targets.clamp(min=0), **given)


def _leaves_out_unknown(loss: nn.Module) -> bool:
    """Whether a loss leaves unknown targets out by itself, of its mean too.

    mmdet's ``CrossEntropyLoss`` says by ``avg_non_ignore`` whether it does the latter.
    """
    return getattr(loss, 'ignore_index', None) == UNKNOWN and getattr(loss, 'avg_non_ignore', True)
