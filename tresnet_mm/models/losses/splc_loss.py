"""Self-paced loss correction (SPLC, arXiv 2112.07368) for labels of which some are missing."""

from typing import Any

from mmengine.logging import MessageHub
from mmengine.registry import MODELS
from torch import Tensor

from .asymmetric_term import AsymmetricTerm
from .chunked_binary_loss import chunked_binary_loss
from .focal_margin_loss import check_gamma, focal_margin_loss
from .loss_module import LossModule, check_reduction
from .multilabel_entries import multilabel_entries


def splc_loss(
    logits: Tensor,
    targets: Tensor,
    weight: Tensor | None = None,
    *,
    epoch: int,
    tau: float = 0.6,
    change_epoch: int = 1,
    margin: float = 1.0,
    gamma: float = 2.0,
    ignore_index: float | None = -1,
    reduction: str = 'sum',
    avg_factor: float | Tensor | None = None,
    validate: bool | None = None,
) -> Tensor:
    """Focal margin loss that takes absent labels of high scores for missing ones.

    With ``p = sigmoid(x)``, ``m = sigmoid(x - margin)`` and g = gamma an entry's loss is

        -y * (1 - m) ** g * log(m) - (1 - y) * p ** g * log(1 - p)

    and, from ``change_epoch`` on, the second part where ``p > tau`` that of a positive instead,

        -(1 - y) * (1 - p) ** g * log(p)

    That the margin is for annotated positives alone is the published implementation's, not the
    paper's formula. Computed in float32 at least.

    Args:
        logits: (N, C) or any other shape, C classes last.
        targets: Same shape, values in [0, 1] of any type; soft ones mix the two parts.
        weight: Constant weights: (N,) or (N, 1) per sample, (C,) or (1, C) per class, (N, C).
        epoch: Epochs that were finished before: 0 in the first, as mmengine counts.
        tau: Probability above which an absent label is taken for a missing one, in (0, 1).
        change_epoch: Epochs to train before labels are corrected.
        margin: What the logit of a positive has to exceed.
        gamma: Focusing exponent, at least 0.
        ignore_index: Targets of this value are unknown: no loss, no gradient, no correction.
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
        >>> from tresnet_mm.models.losses import splc_loss
        >>> logits, targets = torch.tensor([[2.0, 3.0]]), torch.tensor([[1, 0]])
        >>> splc_loss(logits, targets, epoch=0)
        tensor(2.7889)
        >>> splc_loss(logits, targets, epoch=1)  # the second label was forgotten, it seems
        tensor(0.0228)
    """
    check_reduction(reduction, avg_factor)
    _check(tau, gamma)
    entries = multilabel_entries(logits, targets, weight, ignore_index, validate)
    missing = (entries.x.detach().sigmoid() > tau) & (epoch >= change_epoch)
    others = chunked_binary_loss(
        entries.x, missing, AsymmetricTerm(gamma, gamma),
        weight=(1 - entries.y) * entries.known_weight, reduce=False)
    return entries.reduce(
        focal_margin_loss(entries, margin, gamma) + others, reduction, avg_factor)


def _check(tau: float, gamma: float) -> None:
    check_gamma(gamma)
    if not 0 < tau < 1:
        raise ValueError(f'tau must be in (0, 1), got {tau}')


@MODELS.register_module()
class SPLCLoss(LossModule):
    """Self-paced loss correction; see `splc_loss` for the arguments.

    The epoch is read where mmengine's runner tells it in each, resumed ones too (``MessageHub``).
    Loops that count iterations have no epochs: there nothing is corrected with a ``change_epoch``
    above 0. Without a runner give ``epoch`` to the call; otherwise it is 0.

    Args:
        loss_weight: What the loss is multiplied by.

    Raises:
        ValueError: If a constant is out of its range.

    Examples:
        >>> import torch
        >>> from tresnet_mm.models.losses import SPLCLoss
        >>> SPLCLoss()(torch.tensor([[2.0, 3.0]]), torch.tensor([[1, 0]]), epoch=1)
        tensor(0.0228)
    """

    def __init__(
        self,
        tau: float = 0.6,
        change_epoch: int = 1,
        margin: float = 1.0,
        gamma: float = 2.0,
        reduction: str = 'sum',
        loss_weight: float = 1.0,
        ignore_index: float | None = -1,
        validate: bool | None = None,
    ) -> None:
        _check(tau, gamma)
        super().__init__(
            splc_loss, reduction, loss_weight, tau=tau, change_epoch=change_epoch, margin=margin,
            gamma=gamma, ignore_index=ignore_index, validate=validate)

    def forward(self, *args: Any, epoch: int | None = None, **kwargs: Any) -> Tensor:
        """As other losses, and ``epoch``, which the runner knows."""
        if epoch is None:
            epoch = MessageHub.get_current_instance().get_info('epoch', 0)
        return super().forward(*args, epoch=epoch, **kwargs)
