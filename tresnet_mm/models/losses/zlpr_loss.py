"""ZLPR loss (arXiv 2208.02955): the labels of an image ranked against 0."""

import torch
from mmengine.registry import MODELS
from torch import Tensor

from .loss_module import LossModule, average, check_nan, check_reduction
from .multilabel_entries import multilabel_entries


def zlpr_loss(
    logits: Tensor,
    targets: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: float | None = -1,
    reduction: str = 'sum',
    avg_factor: float | Tensor | None = None,
    validate: bool | None = None,
) -> Tensor:
    """Zero-bounded log-sum-exp and pairwise rank-based loss.

    A sample's loss is

        log(1 + sum of w * y * exp(-x)) + log(1 + sum of w * (1 - y) * exp(x))

    over its classes, with weights w of 1: logits of labels that are there are pushed above 0 and
    above all others, so that 0 is the threshold (a probability of 0.5). Soft targets are the
    paper's form for them. Computed in float32 at least.

    Args:
        logits: (N, C) or any other shape, C classes last.
        targets: Same shape, values in [0, 1] of any type.
        weight: Constant weights of at least 0: (N,) or (N, 1) per sample, (C,) or (1, C) per class,
            (N, C). An entry of weight 2 counts as two.
        ignore_index: Targets of this value are unknown: no loss and no gradient.
        reduction: 'none', 'mean' (over the samples) or 'sum'.
        avg_factor: What 'mean' divides the sum by instead.
        validate: Whether to check for targets outside [0, 1] and NaN logits; None: on the CPU only.

    Returns:
        A number, or with 'none' one a sample, of the logits' shape without its last dimension;
        float32 (float64 for float64 logits).

    Raises:
        TypeError: If the logits are not floating point.
        ValueError: As `asymmetric_loss`.

    Examples:
        >>> import torch
        >>> from tresnet_mm.models.losses import zlpr_loss
        >>> zlpr_loss(torch.tensor([[2.0, -1.0, 4.0]]), torch.tensor([[1, 0, -1]]))
        tensor(0.4402)
    """
    check_reduction(reduction, avg_factor)
    entries = multilabel_entries(logits, targets, weight, ignore_index, validate)
    x, y, counts = entries.x, entries.y, entries.known_weight
    zero = x.new_zeros(len(x), 1)
    positive = torch.cat([zero, (counts * y).log() - x], dim=1).logsumexp(dim=1)
    negative = torch.cat([zero, (counts * (1 - y)).log() + x], dim=1).logsumexp(dim=1)
    loss = positive + negative
    check_nan(loss, logits, validate)
    if reduction == 'none':
        return loss.view(logits.shape[:-1])
    return loss.sum() if reduction == 'sum' else average(loss.sum(), avg_factor, loss)


@MODELS.register_module()
class ZLPRLoss(LossModule):
    """ZLPR loss; see `zlpr_loss` for the arguments.

    Args:
        loss_weight: What the loss is multiplied by.

    Raises:
        ValueError: If the reduction is unknown.

    Examples:
        >>> import torch
        >>> from tresnet_mm.models.losses import ZLPRLoss
        >>> ZLPRLoss(reduction='mean')(torch.tensor([[2.0, -1.0]]), torch.tensor([[1, 0]]))
        tensor(0.4402)
    """

    def __init__(
        self,
        reduction: str = 'sum',
        loss_weight: float = 1.0,
        ignore_index: float | None = -1,
        validate: bool | None = None,
    ) -> None:
        super().__init__(
            zlpr_loss, reduction, loss_weight, ignore_index=ignore_index, validate=validate)
