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
