import itertools

import pytest
import torch
import torch.nn.functional as F

from tresnet_mm.models.losses.asymmetric_term import (
    AsymmetricTerm,
    entry_gain,
    entry_grad,
    power,
    power_slope,
)

from .conventions import draw
from .reference import gradient, plain_binary

TERMS = [
    AsymmetricTerm(*gammas, clip, eps, alpha, detach)
    for gammas, (clip, eps), alpha, detach in itertools.product(
        [(0, 0), (1, 4), (2, 2), (1, 0), (0, 1.5), (2.5, 3)],
        [(0, 0), (0.1, 0), (0, 1e-8), (0.1, 1e-8), (0, 0.3)], [None, 0.3], [False, True])]


@pytest.mark.parametrize('term', TERMS, ids=str)
def test_values_and_derivatives_are_the_definitions(term):
    x, y = draw()
    p = x.detach().sigmoid().requires_grad_()
    constants = term._asdict()
    of_logits, of_probs = term, term._replace(from_probs=True)
    assert not constants.pop('from_probs')
    for target in (y, torch.zeros_like(y), torch.ones_like(y)):
        expected = plain_binary(x, target, **constants)
        slope = gradient(expected, x)
        for label in (target, int(target[0, 0])) if (target == target[0, 0]).all() else (target, ):
            before = x.detach().clone()
            torch.testing.assert_close(-entry_gain(before, label, of_logits), expected)
            torch.testing.assert_close(entry_grad(before, label, of_logits), slope)
            torch.testing.assert_close(before, x, rtol=0, atol=0)
            if not 0 < term.eps < 0.1:  # there its bounds of probabilities take the place of eps
                torch.testing.assert_close(-entry_gain(p.detach(), label, of_probs), expected)
                torch.testing.assert_close(
                    entry_grad(p.detach(), label, of_probs) * p * (1 - p), slope)


@pytest.mark.parametrize('label', [0, 1])
def test_sure_and_right_logits_keep_a_relatively_exact_derivative(label):
    x = torch.tensor([12.0, 17, 30, 60])
    sure, wrong = (x, -1) if label else (-x, 1)
    expected = wrong * torch.sigmoid(-x.double())
    for y in (label, torch.full_like(x, label)):
        grad = entry_grad(sure, y, AsymmetricTerm(0, 0))
        torch.testing.assert_close(grad.double(), expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize('clip', [0, 0.1])
def test_infinite_logits_are_the_limit(clip):
    x = torch.tensor([-torch.inf, torch.inf])
    term = AsymmetricTerm(0, 0, clip)
    right = torch.tensor([0.0, 1])
    assert (entry_gain(x, right, term) == 0).all()
    assert entry_gain(x, 1 - right, term)[0] <= -torch.finfo(torch.float32).max
    if clip:
        assert entry_gain(x, 1 - right, term)[1] == torch.tensor(clip).log()
    limit = torch.tensor([-1.0, 0.0 if clip else 1.0])
    torch.testing.assert_close(entry_grad(x, 1 - right, term), limit)


def test_of_probabilities_it_has_the_bounds_of_binary_cross_entropy():
    for label, probs in ((0, [0.5, 1.0]), (1, [0.0, 1e-30, 0.5])):
        p = torch.tensor(probs).requires_grad_()
        expected = F.binary_cross_entropy(p, torch.full_like(p, label), reduction='none')
        term = AsymmetricTerm(0, 0, from_probs=True)
        torch.testing.assert_close(-entry_gain(p.detach(), label, term), expected)
        torch.testing.assert_close(entry_grad(p.detach(), label, term), gradient(expected, p))


def test_constants():
    assert AsymmetricTerm(1, 2) == AsymmetricTerm(1, 2, 0, 0, None, False, False)
    for good in (AsymmetricTerm(0, 0), AsymmetricTerm(1, 2, 0.05, 0.05), AsymmetricTerm(1, 2, 1e-8),
                 AsymmetricTerm(1, 2, 0.99, 0.98)):
        assert good.checked() is good


@pytest.mark.parametrize('name, value', [
    ('gamma_pos', -0.1), ('gamma_neg', -0.1), ('gamma_neg', float('nan')), ('eps', -0.1),
    ('eps', 1), ('clip', 1), ('clip', -0.1), ('clip', 1e-9), ('clip', 0.04)])
def test_a_constant_out_of_range_is_named(name, value):
    term = AsymmetricTerm(1, 2, 0.5 if name != 'eps' else 0, 0.05 if value == 0.04 else 0)
    with pytest.raises(ValueError, match=rf'{name} must be .*, got {value}'):
        term._replace(**{name: value}).checked()


EXPONENTS = [0, 0.3, 1, 1.5, 2, 3, 4, 5, 7, 8, 16, 17, 40]


@pytest.mark.parametrize('exponent', EXPONENTS)
def test_powers(exponent):
    base = torch.tensor([1e-3, 0.1, 0.5, 0.9, 1], dtype=torch.float64).requires_grad_()
    expected, given = base**exponent, base.detach().clone()
    torch.testing.assert_close(power(given, exponent).expand(5), expected)
    torch.testing.assert_close(power_slope(given, exponent).expand(5), gradient(expected, base))
    torch.testing.assert_close(given, base.detach(), rtol=0, atol=0)


@pytest.mark.parametrize('exponent', [*EXPONENTS, 1e-50])
def test_powers_of_0_are_finite(exponent):
    zero = torch.zeros(1)
    assert power(zero, exponent).isfinite() and power_slope(zero, exponent).isfinite()
    if exponent >= 0.3:
        assert power(zero, exponent) == 0
    if exponent > 1:
        assert power_slope(zero, exponent) == 0


def test_a_power_that_is_1_for_all_is_one_number():
    assert power(torch.zeros(3), 0).shape == power_slope(torch.zeros(3), 0).shape == ()
    assert power(torch.zeros(3), 0) == 1 and power_slope(torch.zeros(3), 0) == 0
