"""Asymmetric loss (ASL, arXiv 2009.14119) for multi-label classification."""

from mmengine.registry import MODELS
from torch import Tensor

from .asymmetric_term import AsymmetricTerm
from .chunked_binary_loss import chunked_binary_loss
from .loss_module import LossModule, average, broadcast_weight, check_nan, check_reduction


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
    """Asymmetric multi-label loss (section 2.3, equations 4 to 7 of the paper).

    With ``p = sigmoid(x)`` and ``q = min(1 - p + clip, 1)`` an entry's loss is

        -y * (1 - p) ** gamma_pos * log(max(p, eps))
            - (1 - y) * (1 - q) ** gamma_neg * log(max(q, eps))

    also for soft targets ``0 < y < 1``, where it is the expectation over hard ones. (The published
    implementation, equal for hard targets, gives soft ones a single weight of mixed exponents.)
    Where ``eps`` is the larger, which takes a logit beyond 18, the logarithm is constant and only
    the focusing weight keeps a gradient. Gammas of 0, no clip and ``eps=0`` make it binary cross
    entropy. Computed in float32 at least; only logits, targets and weight are kept for backward.

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
        TypeError: If the logits are not floating point.
        ValueError: If shapes do not fit, a constant is out of its range, a target is outside [0, 1]
            and not ``ignore_index``, a logit is NaN, or targets or weight require a gradient.

    Examples:
        >>> import torch
        >>> from tresnet_mm.models.losses import asymmetric_loss
        >>> logits = torch.tensor([[2.0, -1.0, 0.5]])
        >>> targets = torch.tensor([[1, 0, -1]])  # present, absent, unknown
        >>> asymmetric_loss(logits, targets)
        tensor(0.0157)
        >>> asymmetric_loss(logits, targets, reduction='mean')  # over the two known entries
        tensor(0.0078)
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
    loss = chunked_binary_loss(
        logits,
        targets,
        AsymmetricTerm(gamma_pos, gamma_neg, clip or 0, eps, None, detach_weights).checked(),
        weight=broadcast_weight(weight, logits.shape),
        ignore_index=ignore_index,
        reduce=reduction != 'none',
        validate=validate,
    )
    check_nan(loss, logits, validate)
    if reduction == 'none':
        return loss.view(shape)
    return loss if reduction == 'sum' else average(loss, avg_factor, targets, ignore_index)


@MODELS.register_module()
class AsymmetricLoss(LossModule):
    """Asymmetric multi-label loss; see `asymmetric_loss` for the arguments.

    The defaults are those of the authors' class; their COCO training uses ``gamma_pos=0`` and
    ``detach_weights=True``.

    Args:
        loss_weight: What the loss is multiplied by.

    Raises:
        ValueError: If a constant is out of its range.

    Examples:
        >>> import torch
        >>> from tresnet_mm.models.losses import AsymmetricLoss
        >>> loss = AsymmetricLoss(gamma_pos=0, detach_weights=True)
        >>> loss(torch.tensor([[2.0, -1.0]]), torch.tensor([[1, 0]]))
        tensor(0.1275)
        >>> from mmengine.registry import MODELS
        >>> MODELS.build(dict(type='AsymmetricLoss', reduction='mean')).reduction
        'mean'
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
