"""The binary term that the asymmetric losses are made of: its value and its analytic derivative."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

# 1 for positive and 0 for negative entries: a tensor of nothing else, or one number for them all.
Labels = Tensor | int

# exp() of this and the reciprocal of it are normal numbers in float32: no product below overflows.
MAX_LOGIT = 80.0
MAX_FLOAT = torch.finfo(torch.float32).max
# What torch.nn.functional.binary_cross_entropy bounds its logarithm and its divisor by.
MIN_LOG, MIN_PROB = -100.0, 1e-12


class AsymmetricTerm(NamedTuple):
    """The constants of an asymmetric binary loss (ASL, arXiv 2009.14119, section 2).

    An entry of probability p and target y in [0, 1] has, with ``q = min(1 - p + clip, 1)``, the
    loss

        -y * alpha * (1 - p) ** gamma_pos * log(max(p, eps))
            - (1 - y) * (1 - alpha) * (1 - q) ** gamma_neg * log(max(q, eps))

    Without an ``alpha`` both of its factors are 1. Where ``eps`` is the larger the logarithm is
    constant, and only the focusing weight has a gradient (with ``detach_weights`` not even that).
    ``from_probs`` says that the input is p and not its logit.
    """

    gamma_pos: float
    gamma_neg: float
    clip: float = 0.0
    eps: float = 0.0
    alpha: float | None = None
    detach_weights: bool = False
    from_probs: bool = False

    def checked(self) -> 'AsymmetricTerm':
        """Return itself; raises ValueError for a constant outside its range."""
        for name in ('gamma_pos', 'gamma_neg'):
            if not getattr(self, name) >= 0:
                raise ValueError(f'{name} must be at least 0, got {getattr(self, name)}')
        if not 0 <= self.eps < 1:
            raise ValueError(f'eps must be in [0, 1), got {self.eps}')
        if self.clip != 0 and not max(self.eps, 1e-8) <= self.clip < 1:
            raise ValueError(f'clip must be 0 or in [max(eps, 1e-8), 1), got {self.clip}')
        return self


def entry_gain(x: Tensor, y: Labels, term: AsymmetricTerm) -> Tensor:
    """Return minus the loss of every entry.

    Args:
        x: Logits (probabilities with ``term.from_probs``), float32 or float64, any shape.
        y: Labels of 0 and 1, a tensor like ``x`` or one number for all.
        term: The constants.

    Returns:
        A new tensor like ``x``, at most 0.
    """
    if term.from_probs:
        right = _right_prob(x, y)
    elif term.eps > 0:
        right = x.mul(_sign(y)).sigmoid_()
    else:
        right = x.mul(_sign(y)).clamp_(min=-MAX_LOGIT).sigmoid_()
    q = _shift(right, y, term.clip)
    weight = _focusing(torch.rsub(q, 1), y, term)
    return _balance(_log(q, x, y, term, out=q).mul_(weight), y, term.alpha)


def entry_grad(x: Tensor, y: Labels, term: AsymmetricTerm) -> Tensor:
    """Return the derivative of the loss of every entry by ``x``; arguments of `entry_gain`.

    With w and r the probabilities of the wrong and the right answer, q = r (+ clip), u = 1 - q and
    g = gamma, the derivative by the wrong answer's logit is
    ``w * r * (u ** g / q - g * u ** (g - 1) * log q)``: the first part comes through the logarithm
    and vanishes where that is constant, the second through the focusing weight.
    """
    flip = _flip(y)
    if term.from_probs:
        chain, right = flip, _right_prob(x, y)
    else:
        # Both probabilities from one exponential, each with its full relative precision.
        odds = x.mul(flip).clamp_(-MAX_LOGIT, MAX_LOGIT).exp_()
        right = odds.add(1).reciprocal_()
        chain = odds.mul_(right).mul_(right).mul_(flip)
    q = _shift(right, y, term.clip)
    u = torch.rsub(q, 1)
    weight = _focusing(u, y, term)
    slope = None
    if not term.detach_weights and (term.gamma_neg or term.gamma_pos):
        slope = _log(q, x, y, term).mul_(_focusing_slope(u, y, term))
    if term.eps > 0:
        # Dividing by infinity is the fastest way to a 0.
        torch.threshold_(q, term.eps, torch.inf)
    elif term.from_probs:
        q.clamp_(min=MIN_PROB)
    grad = torch.div(weight, q, out=q)
    if slope is not None:
        grad.sub_(slope)
    return _balance(grad.mul_(chain), y, term.alpha)


def _sign(y: Labels) -> Labels:
    """Return 1 for a positive entry and -1 for a negative one."""
    return 2 * y - 1 if isinstance(y, int) else torch.rsub(y, -1, alpha=-2)


def _flip(y: Labels) -> Labels:
    """Return -1 for a positive entry and 1 for a negative one."""
    return 1 - 2 * y if isinstance(y, int) else torch.rsub(y, 1, alpha=2)


def _right_prob(p: Tensor, y: Labels) -> Tensor:
    """Return the probability of the right answer, from that of a positive."""
    if isinstance(y, int):
        return p.clone() if y else torch.rsub(p, 1)
    # Exact on both sides: 0 + 1 * p and 1 - 1 * p.
    return torch.rsub(y, 1).addcmul_(torch.rsub(y, -1, alpha=-2), p)


def _shift(right: Tensor, y: Labels, clip: float) -> Tensor:
    """Add the negatives' probability margin in place: q = min(right + clip, 1)."""
    if clip == 0 or (isinstance(y, int) and y == 1):
        return right
    # A positive's margin is 0 exactly: its probability may be small, and must not be rounded away.
    margin = clip if isinstance(y, int) else torch.rsub(y, clip, alpha=clip)
    return right.add_(margin).clamp_(max=1)


def _log(q: Tensor, x: Tensor, y: Labels, term: AsymmetricTerm,
         out: Tensor | None = None) -> Tensor:
    """Return log(max(q, eps)), in ``out`` where given; with eps 0 exact for every logit."""
    log = torch.log(q, out=out)
    if term.eps > 0:
        return log.clamp_(min=math.log(term.eps))
    if term.from_probs:
        return log.clamp_(min=MIN_LOG)
    # log(sigmoid(z)) is at most z, and equal to it beyond the bound set on z. With a margin that
    # holds for the positives only; the negatives' log q is at most 0.
    bound = x.mul(_sign(y)) if term.clip == 0 else x.clamp(-MAX_FLOAT, MAX_FLOAT).mul_(y)
    return torch.minimum(log, bound, out=log)


def power(base: Tensor, exponent: float) -> Tensor:
    """Raise a base in [0, 1] to a constant power; 0 ** 0 is 1, given as one number.

    PyTorch multiplies only for the exponents 2 and 3; its general kernel costs forty times as much.
    """
    if exponent == 0:
        return base.new_ones(())
    if exponent == 1:
        return base
    if exponent in (2, 3):
        return base.pow(exponent)
    if exponent == int(exponent) and exponent <= 16:
        half = power(base, exponent // 2).square_()
        return half.mul_(base) if exponent % 2 else half
    # Not the infinity of log(0), which times an exponent too small for float32 is NaN.
    lowest = torch.finfo(base.dtype).min
    return base.log().clamp_(min=lowest).mul_(exponent).exp_()


def power_slope(base: Tensor, exponent: float) -> Tensor:
    """Return the derivative of ``base ** exponent`` by the base, finite also at 0."""
    if exponent == 0:
        return base.new_zeros(())
    if exponent >= 1:
        return power(base, exponent - 1).mul(exponent)
    # Infinite at 0, but there the logarithm it is multiplied by is 0.
    base = base.clamp(min=torch.finfo(base.dtype).tiny)
    return base.log_().mul_(exponent - 1).exp_().mul_(exponent)


def _focusing(u: Tensor, y: Labels, term: AsymmetricTerm) -> Tensor:
    """Return the focusing weight u ** gamma; one number where it is 1 for all."""

    def negative() -> Tensor:
        # Where the margin makes q = 1 the loss is constant, though u ** 0 is 1.
        return u.ceil() if term.gamma_neg == 0 and term.clip > 0 else power(u, term.gamma_neg)

    return _pick(y, term, negative, lambda: power(u, term.gamma_pos))


def _focusing_slope(u: Tensor, y: Labels, term: AsymmetricTerm) -> Tensor:
    """Return d(u ** gamma) / du."""
    return _pick(
        y, term, lambda: power_slope(u, term.gamma_neg), lambda: power_slope(u, term.gamma_pos)
    )


def _pick(
    y: Labels,
    term: AsymmetricTerm,
    negative: Callable[[], Tensor],
    positive: Callable[[], Tensor],
) -> Tensor:
    """Take ``positive`` where y is 1, ``negative`` where it is 0; compute no more than needed."""
    if isinstance(y, int):
        return positive() if y else negative()
    if term.gamma_pos == term.gamma_neg > 0:
        return negative()
    return torch.lerp(negative(), positive(), y)


def _balance(out: Tensor, y: Labels, alpha: float | None) -> Tensor:
    """Multiply in place by alpha for the positives and by 1 - alpha for the negatives."""
    if alpha is None:
        return out
    if isinstance(y, int):
        return out.mul_(alpha if y else 1 - alpha)
    return out.mul_(y.mul(2 * alpha - 1).add_(1 - alpha))
