import pytest
import torch

from tresnet_mm.models.losses import TwoWayLoss, two_way_loss

from .conventions import check_constant, check_module, draw
from .reference import gradient, plain_two_way


@pytest.mark.parametrize('temperatures', [
    {}, dict(temperature_pos=0.5, temperature_neg=2)], ids=str)
def test_equals_the_formula_and_its_gradient(temperatures):
    x, y = draw()
    y[0], y[1] = 0, 1  # without positives, and without negatives
    known = draw(seed=3)[1] == 0
    known[1] = True
    samples, classes = plain_two_way(x, y, known, **temperatures)
    assert 0 < len(samples) < 6 and classes
    expected = sum(torch.stack(losses).mean() for losses in (samples, classes))
    marked = y.masked_fill(~known, -1)
    loss = two_way_loss(x, marked, **temperatures)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(gradient(loss, x), gradient(expected, x))
    both = torch.stack(samples + classes).sum()
    torch.testing.assert_close(two_way_loss(x, marked, reduction='sum', **temperatures), both)
    torch.testing.assert_close(two_way_loss(x, marked, avg_factor=2, **temperatures), both / 2)


def test_an_entry_of_weight_0_counts_as_none_and_one_of_weight_2_as_two():
    x, y = draw()
    known = draw(seed=3)[1] == 0
    known[4, 2] = False  # all positives of a sample
    marked = y.masked_fill(~known, -1)
    assert (known & (y > 0)).any(1).sum() < (y > 0).any(1).sum()
    torch.testing.assert_close(two_way_loss(x, y, known.double()), two_way_loss(x, marked))
    doubled, twice = torch.cat([x, x], 1), torch.cat([y, y], 1)
    by_sample, _ = plain_two_way(doubled, twice, torch.ones_like(twice) > 0)
    _, by_class = plain_two_way(torch.cat([x, x]), torch.cat([y, y]), torch.ones(12, 4) > 0)
    torch.testing.assert_close(two_way_loss(x, y, torch.full_like(y, 2), reduction='sum'),
                               torch.stack(by_sample + by_class).sum())


def test_above_0_is_positive():
    x, y = draw()
    torch.testing.assert_close(two_way_loss(x, y * 0.01), two_way_loss(x, y))


@pytest.mark.parametrize('shape', [(3, 4), (0, 4), (3, 0)])
def test_without_positives_it_is_0(shape):
    x, y = draw(shape)
    loss = two_way_loss(x, torch.zeros_like(y))
    assert loss == 0 and (gradient(loss, x) == 0).all()


def test_module():
    check_module(TwoWayLoss, two_way_loss, temperature_pos=2, temperature_neg=3)


@pytest.mark.parametrize('name, value', [
    ('temperature_pos', 0), ('temperature_neg', 0), ('temperature_neg', -1), ('reduction', 'max'),
    ('reduction', 'none')])
def test_a_constant_out_of_range_is_named(name, value):
    check_constant(TwoWayLoss, two_way_loss, name, value)


def test_nan_logits_are_located():
    x, y = draw()
    x = x.detach()
    x[2, 1] = torch.nan
    with pytest.raises(ValueError, match=r'1 of 24 logits are NaN, the first at \(2, 1\)'):
        two_way_loss(x, y)
