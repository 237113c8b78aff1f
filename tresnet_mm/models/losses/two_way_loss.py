"""Two-way multi-label loss (Kobayashi, CVPR 2023): over the classes, and over the samples."""

import torch
import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import Tensor

from .loss_module import LossModule, average, check_nan, check_reduction
from .multilabel_entries import multilabel_entries

# The logarithm of a weight of 0: beside any logit exp of it is 0, and its products are finite.
LOWEST = -1e30


def two_way_loss(
    logits: Tensor,
    targets: Tensor,
    weight: Tensor | None = None,
    *,
    temperature_pos: float = 4.0,
    temperature_neg: float = 1.0,
    ignore_index: float | None = -1,
    reduction: str = 'mean',
    avg_factor: float | Tensor | None = None,
    validate: bool | None = None,
) -> Tensor:
    """Softplus of how far the highest negative is above the lowest positive, in two ways.

    A set of entries with the positives P and the negatives N, of weights w (1), has the loss

        softplus(Tn * log(sum over N of w * exp(x / Tn)) + Tp * log(sum over P of w * exp(-x / Tp)))

    The sets are the classes of each sample, and the samples of the batch for each class. As in the
    published implementation a set without positives is left out, and one without negatives has a
    loss of 0. In several processes the samples are those of each process's own batch. Computed in
    float32 at least.

    Args:
        logits: (N, C), or any other shape with C classes last, whose other dimensions are samples.
        targets: Same shape; 0 negative, above 0 positive. Soft ones have no meaning of their own.
        weight: Constant weights of at least 0: (N,) or (N, 1) per sample, (C,) or (1, C) per class,
            (N, C). An entry of weight 2 counts as two.
        temperature_pos: Tp, above 0.
        temperature_neg: Tn, above 0.
        ignore_index: Targets of this value are unknown, neither positive nor negative.
        reduction: 'mean', the published form: the mean over the samples plus the mean over the
            classes that have positives; or 'sum' of all of these. A set is no entry: there is no
            'none'.
        avg_factor: What 'mean' divides both sums by instead.
        validate: Whether to check for targets outside [0, 1] and NaN logits; None: on the CPU only.

    Returns:
        A number; float32 (float64 for float64 logits).

    Raises:
        TypeError: If the logits are not floating point.
        ValueError: As `asymmetric_loss`; if a temperature is not positive or the reduction 'none'.

    Examples:
        >>> import torch
        >>> from tresnet_mm.models.losses import two_way_loss
        >>> logits = torch.tensor([[2.0, -1.0], [0.0, 1.0]])
        >>> two_way_loss(logits, torch.tensor([[1, 0], [0, 1]]))
        tensor(0.3079)
    """
    check_reduction(reduction, avg_factor)
    _check(temperature_pos, temperature_neg, reduction)
    entries = multilabel_entries(logits, targets, weight, ignore_index, validate)
    counts = entries.known_weight
    present = entries.y > 0
    total = entries.x.new_zeros(())
    for dim in (1, 0):
        lowest = _log_sum_exp(-entries.x, counts * present, temperature_pos, dim)
        highest = _log_sum_exp(entries.x, counts * ~present, temperature_neg, dim)
        counted = ((counts > 0) & present).any(dim)
        losses = F.softplus(highest + lowest) * counted
        part = losses.sum()
        if reduction == 'mean':
            part = average(part, avg_factor, counted, False)
        total = total + part
    check_nan(total, logits, validate)
    return total


def _log_sum_exp(x: Tensor, counts: Tensor, temperature: float, dim: int) -> Tensor:
    """A soft maximum of the entries that count, far below any logit where there are none."""
    logs = torch.where(counts > 0, counts.log(), LOWEST)
    return torch.logsumexp(x / temperature + logs, dim=dim) * temperature


def _check(temperature_pos: float, temperature_neg: float, reduction: str) -> None:
    for name, value in dict(temperature_pos=temperature_pos,
                            temperature_neg=temperature_neg).items():
        if not value > 0:
            raise ValueError(f'{name} must be above 0, got {value}')
    if reduction == 'none':
        raise ValueError("reduction must be 'mean' or 'sum': the two-way loss has no entries, got "
                         "'none'")


@MODELS.register_module()
class TwoWayLoss(LossModule):
    """Two-way multi-label loss; see `two_way_loss` for the arguments.

    Args:
        loss_weight: What the loss is multiplied by.

    Raises:
        ValueError: If a constant is out of its range.

    Examples:
        >>> import torch
        >>> from tresnet_mm.models.losses import TwoWayLoss
        >>> TwoWayLoss()(torch.tensor([[2.0, -1.0], [0.0, 1.0]]), torch.tensor([[1, 0], [0, 1]]))
        tensor(0.3079)
    """

    def __init__(
        self,
        temperature_pos: float = 4.0,
        temperature_neg: float = 1.0,
        reduction: str = 'mean',
        loss_weight: float = 1.0,
        ignore_index: float | None = -1,
        validate: bool | None = None,
    ) -> None:
        _check(temperature_pos, temperature_neg, reduction)
        super().__init__(
            two_way_loss, reduction, loss_weight, temperature_pos=temperature_pos,
            temperature_neg=temperature_neg, ignore_index=ignore_index, validate=validate)
