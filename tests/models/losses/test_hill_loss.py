from functools import partial

import pytest
import torch

from tresnet_mm.models.losses import HillLoss, hill_loss

from .conventions import check_constant, check_formula, check_module
from .reference import gradient, plain_hill


@pytest.mark.parametrize('soft', [False, True])
@pytest.mark.parametrize('constants', [{}, dict(hill_lambda=2, margin=0, gamma=0.5)], ids=str)
def test_equals_the_formula_and_its_gradient(constants, soft):
    check_formula(partial(hill_loss, **constants), partial(plain_hill, **constants), soft)


def test_module():
    check_module(HillLoss, hill_loss, hill_lambda=1, margin=0.5, gamma=0)


@pytest.mark.parametrize('name, value', [
    ('gamma', -0.1), ('gamma', float('nan')), ('hill_lambda', 0.9), ('reduction', 'max')])
def test_a_constant_out_of_range_is_named(name, value):
    check_constant(HillLoss, hill_loss, name, value)


def test_forgives_negatives_of_high_scores():
    x = torch.tensor([[-15.0, 0.0, 15.0]], dtype=torch.float64, requires_grad=True)
    slope = gradient(hill_loss(x, torch.zeros(1, 3)), x)[0]
    assert slope[1] > 0.1 and slope[0].abs() < 1e-5 and slope[2].abs() < 1e-5
