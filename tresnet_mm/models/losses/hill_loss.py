"""Hill loss (arXiv 2112.07368) for labels of which some are missing."""

from mmengine.registry import MODELS
from torch import Tensor

from .focal_margin_loss import check_gamma, focal_margin_loss
from .loss_module import LossModule, check_reduction
from .multilabel_entries import multilabel_entries


def hill_loss(
    logits: Tensor,
    targets: Tensor,
    weight: Tensor | None = None,
    *,
    hill_lambda: float = 1.5,
    margin: float = 1.0,
    gamma: float = 2.0,
    ignore_index: float | None = -1,
    reduction: str = 'sum',
    avg_factor: float | Tensor | None = None,
    validate: bool | None = None,
) -> Tensor:
    """Hill loss: negatives that the model is sure are positives lose their gradient.

    With ``p = sigmoid(x)`` and ``m = sigmoid(x - margin)`` an entry's loss is

        -y * (1 - m) ** gamma * log(m) + (1 - y) * (hill_lambda - p) * p ** 2

    the paper's focal margin loss for positives, and for negatives its Hill loss, a squared error
    times ``hill_lambda - p``. At 1.5 its slope by the probability vanishes both at 0 and at 1: an
    absent label that scores high may be a missing one. Computed in float32 at least.

    Args:
        logits: (N, C) or any other shape, C classes last.
        targets: Same shape, values in [0, 1] of any type; soft ones mix the two parts.
        weight: Constant weights: (N,) or (N, 1) per sample, (C,) or (1, C) per class, (N, C).
        hill_lambda: Where the loss of the negatives bends, at least 1 (the paper's lambda).
        margin: What the logit of a positive has to exceed.
        gamma: Focusing exponent of the positives, at least 0.
        ignore_index: Targets of this value are unknown: no loss and no gradient.
        reduction: 'none', 'mean' (over the known entries) or 'sum', the published form.
        avg_factor: What 'mean' divides the sum by instead.
        validate: Whether to check for targets outside [0, 1] and NaN logits; None: on the CPU only.

    Returns:
        A number, or a tensor like ``logits`` with 'none'; float32 (float64 for float64 logits).

    Raises:
        TypeError: If the logits are not floating point.
        ValueError: As `asymmetric_loss`.

    Examples:
        >>> import torch
        >>> from tresnet_mm.models.losses import hill_loss
        >>> hill_loss(torch.tensor([[2.0, -1.0, 4.0]]), torch.tensor([[1, 0, -1]]))
        tensor(0.1117)
    """
    check_reduction(reduction, avg_factor)
    _check(hill_lambda, gamma)
    entries = multilabel_entries(logits, targets, weight, ignore_index, validate)
    p = entries.x.sigmoid()
    negative = (1 - entries.y) * entries.known_weight * (hill_lambda - p) * p.square()
    return entries.reduce(
        focal_margin_loss(entries, margin, gamma) + negative, reduction, avg_factor)


def _check(hill_lambda: float, gamma: float) -> None:
    check_gamma(gamma)
    if not hill_lambda >= 1:
        raise ValueError(f'hill_lambda must be at least 1, got {hill_lambda}')


@MODELS.register_module()
class HillLoss(LossModule):
    """Hill loss; see `hill_loss` for the arguments.

    Args:
        loss_weight: What the loss is multiplied by.

    Raises:
        ValueError: If a constant is out of its range.

    Examples:
        >>> import torch
        >>> from tresnet_mm.models.losses import HillLoss
        >>> HillLoss(margin=0)(torch.tensor([[2.0, -1.0]]), torch.tensor([[1, 0]]))
        tensor(0.0908)
    """

    def __init__(
        self,
        hill_lambda: float = 1.5,
        margin: float = 1.0,
        gamma: float = 2.0,
        reduction: str = 'sum',
        loss_weight: float = 1.0,
        ignore_index: float | None = -1,
        validate: bool | None = None,
    ) -> None:
        _check(hill_lambda, gamma)
        super().__init__(
            hill_loss, reduction, loss_weight, hill_lambda=hill_lambda, margin=margin, gamma=gamma,
            ignore_index=ignore_index, validate=validate)
