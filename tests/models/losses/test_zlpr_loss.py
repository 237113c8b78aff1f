import pytest
import torch

from tresnet_mm.models.losses import ZLPRLoss, zlpr_loss

from .conventions import check_constant, check_module, draw
from .reference import gradient, plain_zlpr


@pytest.mark.parametrize('soft', [False, True])
def test_equals_the_formula_and_its_gradient(soft):
    x, y = draw(soft=soft)
    expected = plain_zlpr(x, y)
    loss = zlpr_loss(x, y, reduction='none')
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(gradient(loss, x), gradient(expected, x))
    torch.testing.assert_close(zlpr_loss(x, y), expected.sum())
    torch.testing.assert_close(zlpr_loss(x, y, reduction='mean'), expected.mean())
    torch.testing.assert_close(zlpr_loss(x, y, reduction='mean', avg_factor=4), expected.sum() / 4)


@pytest.mark.parametrize('soft', [False, True])
def test_an_entry_of_weight_2_counts_as_two_and_an_unknown_one_as_none(soft):
    x, y = draw(soft=soft)
    doubled, twice = torch.cat([x, x], 1), torch.cat([y, y], 1)
    torch.testing.assert_close(zlpr_loss(x, y, torch.full_like(y, 2)), zlpr_loss(doubled, twice))
    marked = torch.cat([y, torch.full_like(y, -1)], 1)
    torch.testing.assert_close(zlpr_loss(doubled, marked), zlpr_loss(x, y))


def test_of_one_positive_and_one_negative_it_is_their_cross_entropy():
    x, y = draw((5, 2))[0], torch.tensor([[1.0, 0]], dtype=torch.float64).expand(5, 2)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(x, y, reduction='none').sum(1)
    torch.testing.assert_close(zlpr_loss(x, y, reduction='none'), expected)


def test_a_sample_of_any_shape_has_one_value():
    x, y = draw((2, 3, 5))
    loss = zlpr_loss(x, y, reduction='none')
    torch.testing.assert_close(loss, plain_zlpr(x.flatten(0, 1), y.flatten(0, 1)).view(2, 3))


def test_module():
    check_module(ZLPRLoss, zlpr_loss, reduction='mean')


def test_an_unknown_reduction_is_named():
    check_constant(ZLPRLoss, zlpr_loss, 'reduction', 'max')


@pytest.mark.parametrize('reduction', ['none', 'sum'])
def test_nan_logits_are_located(reduction):
    x, y = draw()
    x = x.detach().index_fill(1, torch.tensor([2]), torch.nan)
    with pytest.raises(ValueError, match=r'6 of 24 logits are NaN, the first at \(0, 2\)'):
        zlpr_loss(x, y, reduction=reduction)
