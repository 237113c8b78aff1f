"""The loss that Hill and SPLC (arXiv 2112.07368) have for annotated positives."""

from torch import Tensor

from .asymmetric_term import AsymmetricTerm
from .chunked_binary_loss import chunked_binary_loss
from .multilabel_entries import MultiLabelEntries


def focal_margin_loss(entries: MultiLabelEntries, margin: float, gamma: float) -> Tensor:
    """``-y * (1 - m) ** gamma * log(m)`` with ``m = sigmoid(x - margin)``, weighted, (N, C)."""
    present = entries.y.new_ones(()).bool().expand(entries.y.shape)
    return chunked_binary_loss(
        entries.x - margin, present, AsymmetricTerm(gamma, gamma),
        weight=entries.y * entries.known_weight, reduce=False)


def check_gamma(gamma: float) -> None:
    """Raise ValueError for a focusing exponent below 0."""
    if not gamma >= 0:
        raise ValueError(f'gamma must be at least 0, got {gamma}')
