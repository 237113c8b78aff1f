"""Asymmetric loss (ASL, arXiv 2009.14119) for multi-label and for single-label classification."""

import torch
from mmengine.registry import MODELS
from torch import Tensor

from .asymmetric_term import AsymmetricTerm
from .fused_binary_loss import fused_binary_loss
from .fused_single_label import fused_single_label_loss
from .loss_module import LossModule
from .reduction import average, broadcast_weight, check_reduction


def asymmetric_loss(
    logits: Tensor,
    targets: Tensor,
    weight: Tensor | None = None,
    *,
    gamma_neg: float = 4,
    gamma_pos: float = 1,
    clip: float | None = 0.05,
    eps: float = 1e-8,
    detach_weights: bool = False,
    ignore_index: float | None = -1,
    reduction: str = 'sum',
    avg_factor: float | Tensor | None = None,
    validate: bool | None = None,
) -> Tensor:
    r"""Asymmetric multi-label loss (section 2.3, equations 4 to 7 of the paper).

    With :math:`p = \sigma(x)` and :math:`q = \min(1 - p + clip, 1)` an entry's loss is

    .. math::
        -y (1-p)^{\gamma_+} \log\max(p, \epsilon) - (1-y) (1-q)^{\gamma_-} \log\max(q, \epsilon)

    also for soft targets :math:`0 < y < 1`, where it is the expectation over hard ones. (The
    published implementation, equal for hard targets, gives soft ones a single weight of mixed
    exponents.) Where :math:`\epsilon` is the larger, which takes a logit beyond 18, the logarithm
    is constant and only the focusing weight keeps a gradient. Gammas of 0, no clip and ``eps=0``
    make it binary cross entropy. Computed in float32 at least; only logits, targets and weight are
    kept for backward.

    Args:
        logits: (N, C) or any other shape, C classes last.
        targets: Same shape, values in [0, 1] of any type.
        weight: Constant weights: (N,) or (N, 1) per sample, (C,) or (1, C) per class, (N, C). Where
            N equals C a vector is taken per sample. Other than (N, C) logits: any that broadcasts.
        gamma_neg: Focusing exponent of the negatives, at least 0.
        gamma_pos: Focusing exponent of the positives, at least 0.
        clip: Probability margin of the negatives, in [0, 1); None is 0.
        eps: Lower bound of what the logarithm is taken of.
        detach_weights: Whether the focusing weights are constants to the gradient, as in the
            authors' training script.
        ignore_index: Targets of this value are unknown: no loss and no gradient. Outside [0, 1];
            None for no such value.
        reduction: 'none', 'mean' (over the known entries) or 'sum', the published form.
        avg_factor: What 'mean' divides the sum by instead.
        validate: Whether to check for targets outside [0, 1] and NaN logits. None checks on the CPU
            only, as a check makes the host wait for a GPU.

    Returns:
        A number, or a tensor like ``logits`` with 'none'; float32 (float64 for float64 logits).

    Raises:
        TypeError: for logits that are not floating point.
        ValueError: for shapes that do not fit, constants out of range, targets outside [0, 1] that
            are not ``ignore_index``, NaN logits, and targets or weights that require a gradient.
    """
    check_reduction(reduction, avg_factor)
    if ignore_index is not None and 0 <= ignore_index <= 1:
        raise ValueError(f'ignore_index must be outside [0, 1], got {ignore_index}')
    if logits.shape != targets.shape:
        raise ValueError(
            f'logits of shape {tuple(logits.shape)} and targets of shape {tuple(targets.shape)} '
            'must have the same shape'
        )
    shape = logits.shape
    if logits.dim() != 2:
        weight = weight if weight is None else weight.expand(shape).reshape(-1, shape[-1])
        logits, targets = (tensor.reshape(-1, shape[-1]) for tensor in (logits, targets))
    loss = fused_binary_loss(
        logits,
        targets,
        AsymmetricTerm(gamma_pos, gamma_neg, clip or 0, eps, None, detach_weights).checked(),
        weight=broadcast_weight(weight, logits.shape),
        ignore_index=ignore_index,
        reduce=reduction != 'none',
        validate=validate,
    )
    _check_nan(loss, logits, validate)
    if reduction == 'none':
        return loss.view(shape)
    if reduction == 'sum':
        return loss
    if avg_factor is not None:
        return average(loss, avg_factor)
    if ignore_index is None:
        return loss / max(targets.numel(), 1)
    return loss / (targets != ignore_index).sum().clamp(min=1)


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
    r"""Asymmetric loss on a softmax, as in the authors' ImageNet training.

    With :math:`p = softmax(x)` and the smoothed target distribution :math:`t`, a sample of class k
    has the loss

    .. math:: -t_k (1-p_k)^{\gamma_+} \log p_k - \sum_{c \ne k} t_c\, p_c^{\gamma_-} \log p_c

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
        TypeError: for logits that are not floating point, or targets that are not integers.
        ValueError: for shapes that do not fit, constants or targets out of range, NaN logits, and
            weights that require a gradient.
    """
    check_reduction(reduction, avg_factor)
    loss = fused_single_label_loss(
        logits,
        targets,
        weight,
        gamma_pos=gamma_pos,
        gamma_neg=gamma_neg,
        label_smoothing=label_smoothing,
        ignore_index=ignore_index,
        validate=validate,
    )
    _check_nan(loss, logits, validate)
    if reduction == 'none':
        return loss
    if reduction == 'sum':
        return loss.sum()
    if avg_factor is not None:
        return average(loss.sum(), avg_factor)
    return loss.sum() / (targets != ignore_index).sum().clamp(min=1)


def _check_nan(loss: Tensor, logits: Tensor, validate: bool | None) -> None:
    """Raise ValueError if there are NaN logits; looks at them only where the loss is NaN."""
    if torch.compiler.is_compiling() or not (not logits.is_cuda if validate is None else validate):
        return
    if loss.detach().sum().isnan():
        nan = logits.detach().isnan()
        if nan.any():
            first = tuple(nan.nonzero()[0].tolist())
            raise ValueError(
                f'{int(nan.sum())} of {nan.numel()} logits are NaN, the first at {first}: '
                'the model has diverged, or its input holds NaN'
            )


@MODELS.register_module()
class AsymmetricLoss(LossModule):
    """Asymmetric multi-label loss; see :func:`asymmetric_loss` for the arguments.

    The defaults are those of the authors' class; their COCO training uses ``gamma_pos=0`` and
    ``detach_weights=True``.

    Args:
        loss_weight: What the loss is multiplied by.
    """

    def __init__(
        self,
        gamma_neg: float = 4,
        gamma_pos: float = 1,
        clip: float | None = 0.05,
        detach_weights: bool = False,
        reduction: str = 'sum',
        loss_weight: float = 1.0,
        eps: float = 1e-8,
        ignore_index: float | None = -1,
        validate: bool | None = None,
    ) -> None:
        AsymmetricTerm(gamma_pos, gamma_neg, clip or 0, eps).checked()
        super().__init__(
            asymmetric_loss, reduction, loss_weight, gamma_neg=gamma_neg, gamma_pos=gamma_pos,
            clip=clip, eps=eps, detach_weights=detach_weights, ignore_index=ignore_index,
            validate=validate)


@MODELS.register_module()
class AsymmetricLossSingleLabel(LossModule):
    """Asymmetric loss on a softmax; see :func:`asymmetric_loss_single_label` for the arguments.

    Args:
        loss_weight: What the loss is multiplied by.
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
