"""Asymmetric loss (ASL, arXiv 2009.14119) for images of one class each."""

from mmengine.registry import MODELS
from torch import Tensor

from .asymmetric_term import AsymmetricTerm
from .chunked_single_label_loss import chunked_single_label_loss
from .loss_module import LossModule, average, check_nan, check_reduction


def asymmetric_loss_single_label(
    logits: Tensor,
    targets: Tensor,
    weight: Tensor | None = None,
    *,
    gamma_neg: float = 4,
    gamma_pos: float = 0,
    label_smoothing: float = 0.1,
    ignore_index: int = -1,
    reduction: str = 'mean',
    avg_factor: float | Tensor | None = None,
    validate: bool | None = None,
) -> Tensor:
    """Asymmetric loss on a softmax, as in the authors' ImageNet training.

    With ``p = softmax(x)`` and the smoothed target distribution t, a sample of class k has the loss

        -t[k] * (1 - p[k]) ** gamma_pos * log(p[k])
            - sum over c != k of t[c] * p[c] ** gamma_neg * log(p[c])

    Gammas of 0 make it cross entropy with label smoothing. The focusing weights have their
    gradient. Computed in float32 at least; only logits, targets and weight are kept for backward.

    Args:
        logits: (N, C).
        targets: (N,) integer classes.
        weight: Constant weights of the samples, (N,).
        gamma_neg: Focusing exponent of the wrong classes (without effect if nothing is smoothed).
        gamma_pos: Focusing exponent of the right class.
        label_smoothing: Share of the target spread evenly over all classes, in [0, 1); the
            published class calls it ``eps``.
        ignore_index: Targets of this value are unknown: no loss and no gradient.
        reduction: 'none', 'mean' (over the known samples) or 'sum'.
        avg_factor: What 'mean' divides the sum by instead.
        validate: Whether to check for targets outside [0, C) and NaN logits. None: on the CPU only.

    Returns:
        A number, or (N,) with 'none'; float32 (float64 for float64 logits).

    Raises:
        TypeError: If the logits are not floating point, or the targets not integers.
        ValueError: If shapes do not fit, constants or targets are out of their range, a logit is
            NaN, or the weight requires a gradient.

    Examples:
        >>> import torch
        >>> from tresnet_mm.models.losses import asymmetric_loss_single_label
        >>> logits = torch.tensor([[2.0, -1.0, 0.5], [0.0, 1.0, 0.0]])
        >>> asymmetric_loss_single_label(logits, torch.tensor([0, -1]))  # the second is unknown
        tensor(0.2253)
    """
    check_reduction(reduction, avg_factor)
    loss = chunked_single_label_loss(
        logits,
        targets,
        weight,
        gamma_pos=gamma_pos,
        gamma_neg=gamma_neg,
        label_smoothing=label_smoothing,
        ignore_index=ignore_index,
        validate=validate,
    )
    check_nan(loss, logits, validate)
    if reduction == 'none':
        return loss
    total = loss.sum()
    return total if reduction == 'sum' else average(total, avg_factor, targets, ignore_index)


@MODELS.register_module()
class AsymmetricLossSingleLabel(LossModule):
    """Asymmetric loss on a softmax; see `asymmetric_loss_single_label` for the arguments.

    Args:
        loss_weight: What the loss is multiplied by.

    Raises:
        ValueError: If a constant is out of its range.

    Examples:
        >>> import torch
        >>> from tresnet_mm.models.losses import AsymmetricLossSingleLabel
        >>> loss = AsymmetricLossSingleLabel(label_smoothing=0.0)
        >>> loss(torch.tensor([[2.0, -1.0, 0.5]]), torch.tensor([0]))
        tensor(0.2413)
    """

    def __init__(
        self,
        gamma_neg: float = 4,
        gamma_pos: float = 0,
        label_smoothing: float = 0.1,
        reduction: str = 'mean',
        loss_weight: float = 1.0,
        ignore_index: int = -1,
        validate: bool | None = None,
    ) -> None:
        AsymmetricTerm(gamma_pos, gamma_neg, eps=label_smoothing).checked()
        super().__init__(
            asymmetric_loss_single_label, reduction, loss_weight, gamma_neg=gamma_neg,
            gamma_pos=gamma_pos, label_smoothing=label_smoothing, ignore_index=ignore_index,
            validate=validate)
