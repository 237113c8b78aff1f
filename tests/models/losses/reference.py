"""The losses' formulas in plain float64 PyTorch, with PyTorch's own gradients."""

import torch
from torch import Tensor


def plain_binary(
    x: Tensor,
    y: Tensor,
    gamma_neg: float,
    gamma_pos: float,
    clip: float,
    eps: float = 1e-8,
    detach_weights: bool = False,
    alpha: float | None = None,
) -> Tensor:
    """Loss of every entry, straight from the definition."""
    p = torch.sigmoid(x)
    q = (torch.sigmoid(-x) + clip).clamp(max=1)
    if eps > 0:
        log_p, log_q = p.clamp(min=eps).log(), q.clamp(min=eps).log()
    else:
        log_p = torch.nn.functional.logsigmoid(x)
        log_q = q.log() if clip else torch.nn.functional.logsigmoid(-x)
    weight_pos, weight_neg = torch.sigmoid(-x), (p if clip == 0 else 1 - q)
    if detach_weights:
        weight_pos, weight_neg = weight_pos.detach(), weight_neg.detach()
    balance = (1, 1) if alpha is None else (alpha, 1 - alpha)
    return -(
        balance[0] * y * log_p * weight_pos**gamma_pos
        + balance[1] * (1 - y) * log_q * weight_neg**gamma_neg
    )


def plain_single_label(
    x: Tensor, k: Tensor, gamma_neg: float, gamma_pos: float, smoothing: float
) -> Tensor:
    """Loss of every sample, straight from the definition."""
    num_classes = x.shape[1]
    right = torch.nn.functional.one_hot(k, num_classes).to(x)
    log_p = x.log_softmax(1)
    p = log_p.exp()
    weight = torch.where(right > 0, (1 - p) ** gamma_pos, p**gamma_neg)
    return -((right * (1 - smoothing) + smoothing / num_classes) * weight * log_p).sum(1)


def gradient(loss: Tensor, x: Tensor) -> Tensor:
    """Gradient of the sum of ``loss`` by ``x``."""
    return torch.autograd.grad(loss.sum(), x)[0]


def plain_focal(x: Tensor, gamma: float) -> Tensor:
    """Focal loss of positives, by their logits."""
    return -((1 - torch.sigmoid(x)) ** gamma) * torch.nn.functional.logsigmoid(x)


def plain_hill(x: Tensor, y: Tensor, hill_lambda: float = 1.5, margin: float = 1,
               gamma: float = 2) -> Tensor:
    """Hill loss of every entry."""
    p = torch.sigmoid(x)
    return y * plain_focal(x - margin, gamma) + (1 - y) * (hill_lambda - p) * p**2


def plain_splc(x: Tensor, y: Tensor, epoch: int = 1, tau: float = 0.6, change_epoch: int = 1,
               margin: float = 1, gamma: float = 2) -> Tensor:
    """SPLC of every entry."""
    absent = plain_focal(-x, gamma)
    if epoch >= change_epoch:
        absent = torch.where(torch.sigmoid(x) > tau, plain_focal(x, gamma), absent)
    return y * plain_focal(x - margin, gamma) + (1 - y) * absent


def plain_zlpr(x: Tensor, y: Tensor) -> Tensor:
    """ZLPR of every sample."""
    return (1 + (y * (-x).exp()).sum(1)).log() + (1 + ((1 - y) * x.exp()).sum(1)).log()


def plain_two_way(x: Tensor, y: Tensor, known: Tensor, temperature_pos: float = 4,
                  temperature_neg: float = 1) -> list[list[Tensor]]:
    """Losses of the samples, and of the classes, that have positives."""
    both: list[list[Tensor]] = []
    for logits, targets, seen in ((x, y, known), (x.T, y.T, known.T)):
        both.append([])
        for row, target, mask in zip(logits, targets, seen, strict=True):
            positive, negative = row[(target > 0) & mask], row[(target == 0) & mask]
            if len(positive) == 0:
                continue
            low = temperature_pos * (-positive / temperature_pos).exp().sum().log()
            high = temperature_neg * (negative / temperature_neg).exp().sum().log()
            both[-1].append((1 + (low + high).exp()).log() if len(negative) else 0 * low)
    return both
