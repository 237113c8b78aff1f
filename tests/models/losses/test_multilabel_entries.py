import pytest
import torch

from tresnet_mm.models.losses.multilabel_entries import multilabel_entries

from .conventions import draw


@pytest.mark.parametrize('given, computed', [
    (torch.float16, torch.float32), (torch.bfloat16, torch.float32),
    (torch.float32, torch.float32), (torch.float64, torch.float64)])
@pytest.mark.parametrize('target_type', [torch.int64, torch.float16])
def test_all_is_in_full_precision(given, computed, target_type):
    logits, targets = torch.ones(3, 2, dtype=given), torch.tensor([[1, -1], [0, 1], [0, 0]])
    weight = torch.tensor([1, 2, 3])
    entries = multilabel_entries(logits, targets.to(target_type), weight)
    x = torch.ones(3, 2, dtype=computed)
    torch.testing.assert_close(entries.x, x)
    torch.testing.assert_close(entries.y, torch.tensor([[1, 0], [0, 1], [0, 0]], dtype=computed))
    torch.testing.assert_close(entries.weight, weight.to(computed)[:, None])
    assert entries.known.tolist() == [[True, False], [True, True], [True, True]]
    torch.testing.assert_close(
        entries.known_weight, torch.tensor([[1, 0], [2, 2], [3, 3]], dtype=computed))
    assert entries.logits is logits and entries.validate is None


def test_without_weights_all_weigh_1():
    x, y = draw((3, 2))
    entries = multilabel_entries(x, y.bool())
    torch.testing.assert_close(entries.weight, torch.ones(1, 1).double())
    torch.testing.assert_close(entries.known_weight, torch.ones(3, 2).double())
    torch.testing.assert_close(entries.y, y)


@pytest.mark.parametrize('target_type', [torch.bool, torch.int64, torch.float32])
def test_without_an_ignore_value_all_are_known(target_type):
    x, y = draw((3, 2))
    entries = multilabel_entries(x, y.to(target_type), ignore_index=None)
    assert entries.known.dtype == torch.bool and entries.known.all()
    torch.testing.assert_close(entries.y, y)
    with pytest.raises(ValueError, match='target -1 is outside'):
        multilabel_entries(x, torch.full((3, 2), -1), ignore_index=None)


@pytest.mark.parametrize('value', [-1, -0.5, 1.5, 2])
def test_an_ignore_value_is_outside_the_targets(value):
    x, y = draw((3, 2))
    entries = multilabel_entries(x, y.index_fill(1, torch.tensor([0]), value), ignore_index=value)
    assert entries.known.tolist() == 3 * [[False, True]]
    assert (entries.y[:, 0] == 0).all()


@pytest.mark.parametrize('value', [0, 0.5, 1])
def test_an_ignore_value_that_is_a_target_is_named(value):
    with pytest.raises(ValueError, match=rf'ignore_index must be outside .* got {value}'):
        multilabel_entries(*draw(), ignore_index=value)


@pytest.mark.parametrize('weight_shape, view', [
    ((2, 3, 5), (6, 5)), ((5, ), (6, 5)), ((2, 1, 1), (6, 5)), ((1, 3, 1), (6, 5))])
def test_other_dimensions_are_samples(weight_shape, view):
    x, y = draw((2, 3, 5))
    weight = torch.rand(weight_shape, dtype=torch.float64)
    entries = multilabel_entries(x, y, weight)
    torch.testing.assert_close(entries.x, x.view(6, 5))
    torch.testing.assert_close(entries.y, y.view(6, 5))
    torch.testing.assert_close(entries.weight, weight.expand(2, 3, 5).reshape(view))


def test_a_vector_is_one_sample():
    x, y = draw((5, ))
    entries = multilabel_entries(x, y, torch.arange(5))
    assert entries.x.shape == entries.y.shape == entries.weight.shape == (1, 5)


def test_reductions():
    x, y = draw((2, 3, 5))
    y[0, :2] = -1
    entries = multilabel_entries(x, y)
    loss = torch.rand(6, 5, dtype=torch.float64)
    torch.testing.assert_close(entries.reduce(loss, 'none', None), loss.view(2, 3, 5))
    torch.testing.assert_close(entries.reduce(loss, 'sum', None), loss.sum())
    torch.testing.assert_close(entries.reduce(loss, 'mean', None), loss.sum() / 20)
    torch.testing.assert_close(entries.reduce(loss, 'mean', 4), loss.sum() / 4)


def test_nan_logits_are_located_in_the_shape_they_have():
    x, y = draw((2, 3, 5))
    x = x.detach()
    x[1, 2, 3] = torch.nan
    with pytest.raises(ValueError, match=r'1 of 30 logits are NaN, the first at \(1, 2, 3\)'):
        multilabel_entries(x, y).reduce(x, 'sum', None)
    assert multilabel_entries(x, y, validate=False).reduce(x, 'sum', None).isnan()


def test_targets_are_checked_where_wanted():
    x, y = draw()
    with pytest.raises(ValueError, match='target 2.0 is outside'):
        multilabel_entries(x, 2 * y)
    multilabel_entries(x, 2 * y, validate=False)
    multilabel_entries(x.to('meta'), y.to('meta'))


def test_what_does_not_fit_is_named():
    x, y = draw()
    with pytest.raises(TypeError, match='logits must be floating point, got torch.int64'):
        multilabel_entries(x.long(), y)
    for logits, targets in ((x, y[:3]), (x[0, 0], y[0, 0])):
        with pytest.raises(ValueError, match='must have the same shape, classes last'):
            multilabel_entries(logits, targets)
    with pytest.raises(ValueError, match='targets must not require a gradient'):
        multilabel_entries(x, y.clone().requires_grad_())
    with pytest.raises(ValueError, match='weight must not require a gradient'):
        multilabel_entries(x, y, torch.ones(6, 4, requires_grad=True))
    with pytest.raises(ValueError, match=r'weight of shape \(5,\) does not fit'):
        multilabel_entries(x, y, torch.ones(5))
