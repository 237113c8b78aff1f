"""The autograd function of the single-label asymmetric loss."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .asymmetric_term import power, power_slope
from .chunked_binary_loss import row_chunks
from .loss_module import should_validate


def chunked_single_label_loss(
    logits: Tensor,
    targets: Tensor,
    weight: Tensor | None,
    *,
    gamma_pos: float,
    gamma_neg: float,
    label_smoothing: float,
    ignore_index: int,
    validate: bool | None,
) -> Tensor:
    """Return the (N,) losses of (N, C) logits and (N,) classes.

    See `asymmetric_loss_single_label` for formula, arguments and errors. Ignored samples have a
    loss of 0.
    """
    if not logits.is_floating_point():
        raise TypeError(f'logits must be floating point, got {logits.dtype}')
    if targets.is_floating_point() or targets.dtype == torch.bool:
        raise TypeError(f'targets must be integer classes, got {targets.dtype}')
    if logits.dim() != 2 or targets.shape != logits.shape[:1]:
        raise ValueError(
            f'expected logits (N, C) and targets (N,), got {tuple(logits.shape)} and '
            f'{tuple(targets.shape)}'
        )
    if gamma_pos < 0 or gamma_neg < 0 or not 0 <= label_smoothing < 1:
        raise ValueError(
            'gammas must be at least 0 and label_smoothing in [0, 1), got '
            f'gamma_pos={gamma_pos}, gamma_neg={gamma_neg}, label_smoothing={label_smoothing}'
        )
    if weight is not None:
        if weight.requires_grad:
            raise ValueError('weight must not require a gradient: detach it')
        if weight.shape not in (targets.shape, (*targets.shape, 1)):
            raise ValueError(
                f'weight of shape {tuple(weight.shape)} does not fit {targets.numel()} samples'
            )
    known = targets != ignore_index
    if should_validate(logits, validate):
        wrong = known & ((targets < 0) | (targets >= logits.shape[1]))
        if wrong.any():
            raise ValueError(
                f'target {targets[wrong][0].item()} is outside [0, {logits.shape[1]}), the classes '
                f'of the logits, and not {ignore_index}, which is ignored'
            )
    scale = known if weight is None else known * weight.view(-1)
    classes = targets.long().masked_fill(~known, 0)
    constants = (gamma_pos, gamma_neg, label_smoothing)
    return _ChunkedSingleLabelLoss.apply(logits, classes, scale, *constants)


class _ChunkedSingleLabelLoss(torch.autograd.Function):
    """Works on chunks of rows, and keeps no probability for backward."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, classes: Tensor, scale: Tensor, gamma_pos: float,
                gamma_neg: float, smoothing: float) -> Tensor:
        ctx.save_for_backward(logits, classes, scale)
        ctx.constants = (gamma_pos, gamma_neg, smoothing)
        dtype = torch.promote_types(logits.dtype, torch.float32)
        loss = torch.empty(len(logits), dtype=dtype, device=logits.device)
        for rows in row_chunks(logits):
            log_prob = logits[rows].to(dtype).log_softmax(1)
            column = classes[rows, None]
            right = log_prob.gather(1, column)
            focus = power(right.expm1().neg_(), gamma_pos)
            out = right * focus
            if smoothing:
                terms = log_prob * power(log_prob.exp(), gamma_neg)
                terms.scatter_(1, column, out)
                share = smoothing / logits.shape[1]
                out = out.mul(1 - smoothing).add_(terms.sum(1, keepdim=True), alpha=share)
            loss[rows] = out.neg_().squeeze(1).mul_(scale[rows])
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        logits, classes, scale = ctx.saved_tensors
        grad_logits = torch.empty_like(logits)
        dtype = torch.promote_types(logits.dtype, torch.float32)
        for rows in row_chunks(logits):
            log_prob = logits[rows].to(dtype).log_softmax(1)
            grad = _grad_by_log_prob(log_prob, classes[rows, None], *ctx.constants)
            # Through the softmax: dL/dx = g - p * sum(g).
            total = grad.sum(1, keepdim=True)
            grad.addcmul_(log_prob.exp_(), total, value=-1)
            grad_logits[rows] = grad.mul_((grad_output[rows] * scale[rows])[:, None])
        return grad_logits, None, None, None, None, None


def _grad_by_log_prob(
    log_prob: Tensor, column: Tensor, gamma_pos: float, gamma_neg: float, smoothing: float
) -> Tensor:
    """Return the derivative of the losses by ``log_prob`` (N, C); ``column`` is the right class."""
    share = smoothing / log_prob.shape[1]
    right = log_prob.gather(1, column)
    wrong_prob = right.expm1().neg_()
    slope = power_slope(wrong_prob, gamma_pos) * right.exp() * right
    right_grad = (power(wrong_prob, gamma_pos) - slope) * -(1 - smoothing + share)
    if smoothing:
        grad = log_prob.mul(gamma_neg).add_(1).mul_(-share)
        grad.mul_(power(log_prob.exp(), gamma_neg))
    else:
        grad = torch.zeros_like(log_prob)
    return grad.scatter_(1, column, right_grad)
