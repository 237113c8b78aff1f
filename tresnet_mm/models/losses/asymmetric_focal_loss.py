"""Asymmetric focal loss for dense detection heads: ASL with mmdet's FocalLoss conventions."""

from mmengine.registry import MODELS
from torch import Tensor

from .asymmetric_term import AsymmetricTerm
from .chunked_binary_loss import chunked_binary_loss
from .loss_module import LossModule, average, broadcast_weight, check_reduction


def asymmetric_focal_loss(
    pred: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    gamma_pos: float = 2.0,
    gamma_neg: float = 2.0,
    alpha: float | None = 0.25,
    clip: float = 0.0,
    reduction: str = 'mean',
    avg_factor: float | Tensor | None = None,
    activated: bool = False,
    validate: bool | None = None,
) -> Tensor:
    """Focal loss (arXiv 1708.02002) with ASL's two exponents and probability margin.

    With ``q = min(1 - p + clip, 1)`` an entry's loss is

        -alpha * y * (1 - p) ** gamma_pos * log(p)
            - (1 - alpha) * (1 - y) * (1 - q) ** gamma_neg * log(q)

    At equal exponents and without clip it is mmdet's ``FocalLoss`` (for one-hot targets; soft ones
    between 0 and 1 mix the two parts linearly). Only predictions, targets and weight are kept for
    backward: integer classes are never expanded to one-hot.

    Args:
        pred: (N, C) logits, or probabilities if ``activated``.
        target: (N,) integer classes with C for background, or (N, C) values in [0, 1].
        weight: Constant weights: (N,) or (N, 1) per anchor, (C,) or (1, C) per class, (N, C), or
            (N * C,).
        gamma_pos: Focusing exponent of the positives, at least 0.
        gamma_neg: Focusing exponent of the negatives, at least 0.
        alpha: Weight of the positives, 1 - alpha that of the negatives; None weights both by 1.
        clip: Probability margin of the negatives, in [0, 1).
        reduction: 'none', 'mean' or 'sum'.
        avg_factor: What 'mean' divides the sum by instead of the number of entries.
        activated: Whether ``pred`` are probabilities.
        validate: Whether to check the range of the targets. None: on the CPU only.

    Returns:
        A number, or (N, C) with 'none'; float32 (float64 for float64 predictions).

    Raises:
        TypeError: If types do not fit.
        ValueError: If shapes do not fit, constants or targets are out of their range, or targets or
            weight require a gradient.

    Examples:
        >>> import torch
        >>> from tresnet_mm.models.losses import asymmetric_focal_loss
        >>> logits = torch.tensor([[2.0, -1.0], [-3.0, -2.0]])
        >>> asymmetric_focal_loss(logits, torch.tensor([0, 2]))  # class 0, background
        tensor(0.0047)
    """
    check_reduction(reduction, avg_factor)
    term = AsymmetricTerm(gamma_pos, gamma_neg, clip, alpha=alpha, from_probs=activated).checked()
    loss = chunked_binary_loss(
        pred,
        target,
        term,
        weight=broadcast_weight(weight, pred.shape),
        reduce=reduction != 'none',
        validate=validate,
    )
    return average(loss, avg_factor, pred) if reduction == 'mean' else loss


@MODELS.register_module()
class AsymmetricFocalLoss(LossModule):
    """Drop-in for mmdet's ``FocalLoss`` with separate exponents for positives and negatives.

    A head's config needs ``use_sigmoid=True``, as with ``FocalLoss``: heads read it there. The
    authors advise to start from the focal loss (``gamma_pos = gamma_neg = 2``) with its alpha, then
    to make the exponents differ, and to add ``clip`` last. See `asymmetric_focal_loss` for the
    formula and the other arguments.

    Args:
        use_sigmoid: Only True.
        loss_weight: What the loss is multiplied by.

    Raises:
        ValueError: If ``use_sigmoid`` is False or a constant is out of its range.

    Examples:
        >>> import torch
        >>> from tresnet_mm.models.losses import AsymmetricFocalLoss
        >>> loss = AsymmetricFocalLoss(gamma_pos=1.0, gamma_neg=2.0)
        >>> loss(torch.tensor([[2.0, -1.0], [-3.0, -2.0]]), torch.tensor([0, 2]), avg_factor=1)
        tensor(0.0222)
    """

    def __init__(
        self,
        use_sigmoid: bool = True,
        gamma_pos: float = 1.0,
        gamma_neg: float = 2.0,
        alpha: float | None = 0.25,
        clip: float = 0.0,
        reduction: str = 'mean',
        loss_weight: float = 1.0,
        activated: bool = False,
        validate: bool | None = None,
    ) -> None:
        if use_sigmoid is not True:
            raise ValueError(f'only use_sigmoid=True is supported, got {use_sigmoid!r}')
        AsymmetricTerm(gamma_pos, gamma_neg, clip).checked()
        super().__init__(
            asymmetric_focal_loss, reduction, loss_weight, gamma_pos=gamma_pos,
            gamma_neg=gamma_neg, alpha=alpha, clip=clip, activated=activated, validate=validate)
        self.use_sigmoid = use_sigmoid
