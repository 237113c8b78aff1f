"""One autograd function for the binary asymmetric losses: in chunks, keeping only its input."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..._compat import aminmax, is_compiling
from .asymmetric_term import AsymmetricTerm, entry_gain, entry_grad
from .loss_module import should_validate

#: `entry_gain` or `entry_grad`.
EntryFunction = Callable[[Tensor, Tensor | int, AsymmetricTerm], Tensor]

# Elements of a chunk: few enough that its temporaries stay in cache (and small beside the logits),
# enough that the cost of starting an operation does not show.
CPU_CHUNK_PER_THREAD = 3 << 15
ACCELERATOR_CHUNK = 1 << 22


def chunked_binary_loss(
    pred: Tensor,
    target: Tensor,
    term: AsymmetricTerm,
    weight: Tensor | None = None,
    ignore_index: float | None = None,
    reduce: bool = True,
    validate: bool | None = None,
) -> Tensor:
    """Sum the asymmetric binary loss over all entries (or keep it for each).

    Forward and backward go through the entries in chunks, so that the memory they need beside input
    and output does not grow with the input. Backward recomputes what it needs, and is itself not
    differentiable. Computed in float32 at least, also under autocast and for half precision.

    Args:
        pred: Logits (or probabilities, see ``term``), (N, C), any floating type.
        target: (N, C) values in [0, 1] of any type, or (N,) integer classes with C as background.
        term: The constants of the loss.
        weight: Broadcastable to (N, C); a constant.
        ignore_index: Entries of an (N, C) target with this value count nothing. Outside [0, 1].
        reduce: Whether to return the sum, or (N, C) losses.
        validate: Whether to check the targets, for which the host waits for a GPU; None checks on
            the CPU only.

    Returns:
        The sum, or (N, C) losses, float32 (float64 for float64 input).

    Raises:
        TypeError: If the predictions are not floating point, or classes not integers.
        ValueError: If shapes do not fit, a target is out of its range, or weight or target require
            a gradient.
    """
    if not pred.is_floating_point():
        raise TypeError(f'predictions must be floating point, got {pred.dtype}')
    if pred.dim() != 2:
        raise ValueError(f'predictions must be (N, C), got shape {tuple(pred.shape)}')
    by_class = target.dim() == 1
    if by_class and (target.is_floating_point() or target.dtype == torch.bool):
        raise TypeError(f'class targets of shape (N,) must be integers, got {target.dtype}')
    if target.shape != (pred.shape[:1] if by_class else pred.shape):
        raise ValueError(
            f'targets of shape {tuple(target.shape)} do not fit predictions of shape '
            f'{tuple(pred.shape)}: expected the same shape or {tuple(pred.shape[:1])}'
        )
    for name, constant in (('targets', target), ('weight', weight)):
        if constant is not None and constant.requires_grad:
            raise ValueError(f'{name} must not require a gradient: detach them')
    if weight is not None:
        weight = weight.expand(pred.shape)
    validate = should_validate(pred, validate)
    hard = by_class or target.dtype == torch.bool
    if validate and by_class:
        _check_classes(target, pred.shape[1])
    elif validate and not hard:
        hard = check_range(target, ignore_index)
    return _ChunkedBinaryLoss.apply(pred, target, weight, term, ignore_index, reduce, hard)


class _ChunkedBinaryLoss(torch.autograd.Function):
    """Chunks through `entry_gain` forwards and `entry_grad` backwards."""

    @staticmethod
    def forward(ctx: Any, pred: Tensor, target: Tensor, weight: Tensor | None,
                term: AsymmetricTerm, ignore_index: float | None, reduce: bool,
                hard: bool) -> Tensor:
        ctx.save_for_backward(pred, target, weight)
        ctx.constants = (term, ignore_index, hard)
        dtype = torch.promote_types(pred.dtype, torch.float32)
        sums = []
        out = torch.empty_like(pred[:0] if reduce else pred, dtype=dtype)
        for rows in row_chunks(pred):
            gain = _evaluate(entry_gain, pred[rows], target[rows], term, ignore_index, hard)
            if weight is not None:
                gain.mul_(weight[rows])
            if reduce:
                sums.append(gain.sum())
            else:
                torch.neg(gain, out=out[rows])
        if not reduce:
            return out
        return torch.stack(sums).sum().neg() if sums else pred.new_zeros((), dtype=dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        pred, target, weight = ctx.saved_tensors
        grad_pred = torch.empty_like(pred)
        for rows in row_chunks(pred):
            grad = _evaluate(entry_grad, pred[rows], target[rows], *ctx.constants)
            if weight is not None:
                grad.mul_(weight[rows])
            upstream = grad_output[rows] if grad_output.dim() else grad_output
            if grad.dtype == pred.dtype:
                torch.mul(grad, upstream, out=grad_pred[rows])
            else:
                grad_pred[rows] = grad.mul_(upstream)
        return grad_pred, None, None, None, None, None, None


def row_chunks(pred: Tensor) -> Iterator[slice]:
    """Yield slices of rows that make up chunks; a compiler gets all rows, to fuse them itself."""
    num_rows, num_classes = pred.shape
    if is_compiling():
        step = num_rows
    elif pred.is_cuda:
        step = ACCELERATOR_CHUNK // max(num_classes, 1)
    else:
        step = CPU_CHUNK_PER_THREAD * torch.get_num_threads() // max(num_classes, 1)
    step = max(step, 1)
    for start in range(0, num_rows if num_classes else 0, step):
        yield slice(start, start + step)


def _evaluate(
    function: EntryFunction,
    pred: Tensor,
    target: Tensor,
    term: AsymmetricTerm,
    ignore_index: float | None,
    hard: bool,
) -> Tensor:
    """Evaluate `entry_gain` or `entry_grad` on a chunk with any kind of target."""
    x = pred.to(torch.promote_types(pred.dtype, torch.float32))
    if target.dim() == 1:
        return _evaluate_classes(function, x, target.long()[:, None], term)
    y = target.to(x.dtype)
    if hard:
        return function(x, y, term)
    out = function(x, 0, term).mul_(1 - y).add_(function(x, 1, term).mul_(y))
    if ignore_index is not None:
        out.masked_fill_(target == ignore_index, 0)
    return out


def _evaluate_classes(function: EntryFunction, x: Tensor, classes: Tensor,
                      term: AsymmetricTerm) -> Tensor:
    """Take every entry for a negative, then put right the one positive that a row may have."""
    out = function(x, 0, term)
    column = classes.clamp(max=x.shape[1] - 1)
    positive = function(x.gather(1, column), 1, term)
    foreground = classes < x.shape[1]
    return out.scatter_(1, column, torch.where(foreground, positive, out.gather(1, column)))


def _check_classes(target: Tensor, num_classes: int) -> None:
    """Raise ValueError for a class outside [0, num_classes]."""
    if target.numel() == 0:
        return
    for value in (bound.item() for bound in aminmax(target)):
        if not 0 <= value <= num_classes:
            raise ValueError(
                f'class target {value} is outside [0, {num_classes}], where {num_classes} means '
                'background'
            )


def check_range(target: Tensor, ignore_index: float | None) -> bool:
    """Return whether all targets are 0 or 1; raise ValueError for one outside [0, 1]."""
    hard = True
    for rows in row_chunks(target):
        y = target[rows]
        # y * (y - 1) is 0 for hard labels only; NaN differs from 0, too.
        low, high = aminmax(torch.sub(y, 1).mul_(y))
        if low.item() == 0 and high.item() == 0:
            continue
        hard = False
        wrong = ((y >= 0) & (y <= 1)).logical_not_()
        if ignore_index is not None:
            wrong &= y != ignore_index
        if wrong.any():
            unless = '' if ignore_index is None else f' or {ignore_index} for unknown labels'
            raise ValueError(f'target {y[wrong][0].item()} is outside [0, 1]; expected '
                             f'probabilities in [0, 1]{unless}')
    return hard
