"""Class-aware selective loss (arXiv 2110.10955) for images annotated in part."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import torch
from mmengine.registry import MODELS
from torch import Tensor

from ...class_values import read_class_values
from .asymmetric_term import AsymmetricTerm
from .chunked_binary_loss import chunked_binary_loss
from .loss_module import LossModule, check_reduction
from .multilabel_entries import MultiLabelEntries, multilabel_entries

MODES = ('ignore', 'negative', 'selective')


def partial_asymmetric_loss(
    logits: Tensor,
    targets: Tensor,
    weight: Tensor | None = None,
    *,
    mode: str = 'selective',
    gamma_pos: float = 0,
    gamma_neg: float = 1,
    gamma_unann: float = 2,
    alpha_pos: float = 1,
    alpha_neg: float = 1,
    alpha_unann: float = 1,
    clip: float | None = 0,
    class_priors: Sequence[float] | None = None,
    prior_threshold: float = 0.05,
    likelihood_topk: int = 5,
    eps: float = 1e-8,
    ignore_index: float = -1,
    reduction: str = 'sum',
    avg_factor: float | Tensor | None = None,
    validate: bool | None = None,
) -> Tensor:
    """Asymmetric loss with exponent and weight of its own for labels that nobody annotated.

    Annotated entries have the loss of `asymmetric_loss` with constant focusing weights, positives
    times ``alpha_pos`` and negatives times ``alpha_neg``. Unannotated ones are, by ``mode``, left
    out ('ignore'), or negatives with ``gamma_unann`` and ``alpha_unann`` ('negative'), or that but
    for those that are likely present, which are left out ('selective'): all of a class whose prior
    is above ``prior_threshold`` (the class prior), and the ``likelihood_topk * N`` of the highest
    logits in the batch (the label likelihood).
    Computed in float32 at least.

    Args:
        logits: (N, C) or any other shape, C classes last.
        targets: Same shape; values in [0, 1] of any type, or ``ignore_index`` where unannotated.
        weight: Constant weights: (N,) or (N, 1) per sample, (C,) or (1, C) per class, (N, C).
        mode: 'ignore', 'negative' or 'selective'.
        gamma_pos: Focusing exponent of the positives, at least 0.
        gamma_neg: That of the annotated negatives.
        gamma_unann: That of the unannotated entries.
        alpha_pos: Weight of the positives.
        alpha_neg: That of the annotated negatives.
        alpha_unann: That of the unannotated entries.
        clip: Probability margin of all negatives, in [0, 1); None is 0.
        class_priors: How often each class is present, C numbers in [0, 1]. None: the classes are
            not looked at.
        prior_threshold: Classes of a larger prior are no negatives where they are unannotated.
        likelihood_topk: Unannotated entries to leave out, per image on average.
        eps: Lower bound of what the logarithm is taken of.
        ignore_index: The target of unannotated entries, outside [0, 1].
        reduction: 'none', 'mean' (over all entries, in mode 'ignore' over the annotated ones) or
            'sum', the published form.
        avg_factor: What 'mean' divides the sum by instead.
        validate: Whether to check for targets outside [0, 1] and NaN logits; None: on the CPU only.

    Returns:
        A number, or a tensor like ``logits`` with 'none'; float32 (float64 for float64 logits).

    Raises:
        TypeError: If the logits are not floating point.
        ValueError: As `asymmetric_loss`; if the mode is unknown, or the priors are not as many as
            the classes.

    Examples:
        >>> import torch
        >>> from tresnet_mm.models.losses import partial_asymmetric_loss
        >>> logits = torch.tensor([[2.0, -1.0, 3.0, -2.0]])
        >>> targets = torch.tensor([[1, 0, -1, -1]])
        >>> partial_asymmetric_loss(logits, targets, mode='ignore')
        tensor(0.2112)
        >>> partial_asymmetric_loss(logits, targets, likelihood_topk=1)  # without the third
        tensor(0.2130)
    """
    check_reduction(reduction, avg_factor)
    known_term, unknown_term = _checked(
        mode, gamma_pos, gamma_neg, gamma_unann, clip, eps, class_priors, likelihood_topk)
    entries = multilabel_entries(logits, targets, weight, ignore_index, validate)
    y, known = entries.y, entries.known
    scale = alpha_pos * y + alpha_neg * (1 - y)
    loss = chunked_binary_loss(entries.x, y, known_term, weight=scale * entries.known_weight,
                               reduce=False, validate=validate)
    if mode != 'ignore':
        taken = ~known
        if mode == 'selective':
            taken = taken & ~_likely(entries, class_priors, prior_threshold, likelihood_topk)
        loss = loss + chunked_binary_loss(
            entries.x, torch.zeros_like(known), unknown_term,
            weight=alpha_unann * entries.weight * taken, reduce=False)
        entries = entries._replace(known=torch.ones_like(known))  # as far as a mean goes
    return entries.reduce(loss, reduction, avg_factor)


@torch.no_grad()
def _likely(entries: MultiLabelEntries, class_priors: Sequence[float] | None,
            prior_threshold: float, likelihood_topk: int) -> Tensor:
    """Which unannotated entries (N, C) are likely present."""
    x = entries.x
    likely = torch.zeros_like(entries.known)
    if class_priors is not None:
        if len(class_priors) != x.shape[1]:
            raise ValueError(f'{len(class_priors)} class_priors for {x.shape[1]} classes')
        likely |= _frequent(tuple(class_priors), prior_threshold, x.device)
    top = min(likelihood_topk * len(x), x.numel())
    # the annotated ones come last, and may be marked: they are no candidates anyway
    order = x.masked_fill(entries.known, -torch.inf).flatten().topk(top).indices
    return likely.flatten().index_fill(0, order, True).view_as(likely)


@lru_cache(maxsize=8)
def _frequent(class_priors: tuple[float, ...], prior_threshold: float,
              device: torch.device) -> Tensor:
    """Which classes (C,) are frequent; kept, as the host waits whenever it sends a constant."""
    return torch.tensor(class_priors, device=device) > prior_threshold


def _checked(mode: str, gamma_pos: float, gamma_neg: float, gamma_unann: float,
             clip: float | None, eps: float, class_priors: Sequence[float] | None,
             likelihood_topk: int) -> tuple[AsymmetricTerm, AsymmetricTerm]:
    """The terms of annotated and of unannotated entries; raises ValueError for a bad constant."""
    if mode not in MODES:
        raise ValueError(f'mode must be one of {MODES}, got {mode!r}')
    if not gamma_unann >= 0:
        raise ValueError(f'gamma_unann must be at least 0, got {gamma_unann}')
    if likelihood_topk < 0:
        raise ValueError(f'likelihood_topk must be at least 0, got {likelihood_topk}')
    for prior in class_priors or ():
        if not 0 <= prior <= 1:
            raise ValueError(f'class_priors must lie in [0, 1], got {prior}')
    known = AsymmetricTerm(gamma_pos, gamma_neg, clip or 0, eps, None, True).checked()
    return known, known._replace(gamma_neg=gamma_unann)


@MODELS.register_module()
class PartialAsymmetricLoss(LossModule):
    """Class-aware selective loss; see `partial_asymmetric_loss` for the arguments.

    The paper estimates the priors by a first model, trained with ``mode='ignore'``: the mean of its
    scores over the training images. ``tresnet-mm class-priors`` does that.

    Args:
        class_priors: As the function's, or the file that ``tresnet-mm class-priors`` wrote, in the
            order of the model's classes.
        loss_weight: What the loss is multiplied by.

    Raises:
        FileNotFoundError: If there is no such file of priors.
        ValueError: If a constant is out of its range, or the file holds something else.

    Examples:
        >>> import torch
        >>> from tresnet_mm.models.losses import PartialAsymmetricLoss
        >>> loss = PartialAsymmetricLoss(class_priors=[0.3, 0.01], likelihood_topk=0)
        >>> loss(torch.tensor([[2.0, -1.0]]), torch.tensor([[-1, -1]]))  # the first class is common
        tensor(0.0227)
    """

    def __init__(
        self,
        mode: str = 'selective',
        gamma_pos: float = 0,
        gamma_neg: float = 1,
        gamma_unann: float = 2,
        alpha_pos: float = 1,
        alpha_neg: float = 1,
        alpha_unann: float = 1,
        clip: float | None = 0,
        class_priors: Sequence[float] | str | Path | None = None,
        prior_threshold: float = 0.05,
        likelihood_topk: int = 5,
        reduction: str = 'sum',
        loss_weight: float = 1.0,
        eps: float = 1e-8,
        ignore_index: float = -1,
        validate: bool | None = None,
    ) -> None:
        if isinstance(class_priors, str | Path):
            _, class_priors = read_class_values(class_priors, 'priors')
        _checked(mode, gamma_pos, gamma_neg, gamma_unann, clip, eps, class_priors, likelihood_topk)
        super().__init__(
            partial_asymmetric_loss, reduction, loss_weight, mode=mode, gamma_pos=gamma_pos,
            gamma_neg=gamma_neg, gamma_unann=gamma_unann, alpha_pos=alpha_pos, alpha_neg=alpha_neg,
            alpha_unann=alpha_unann, clip=clip, class_priors=class_priors,
            prior_threshold=prior_threshold, likelihood_topk=likelihood_topk, eps=eps,
            ignore_index=ignore_index, validate=validate)
