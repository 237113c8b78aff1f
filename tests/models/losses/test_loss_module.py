"""The module form of the losses, on a loss that gives back what it was called with."""

import pytest
import torch
from torch import Tensor

from tresnet_mm.models.losses import loss_module
from tresnet_mm.models.losses.loss_module import (
    LossModule,
    average,
    broadcast_weight,
    check_nan,
    check_reduction,
    should_validate,
)

EPS = torch.finfo(torch.float32).eps


class TestModule:

    def setup_method(self):
        self.calls = []

    def function(self, *args: Tensor, **kwargs: object) -> Tensor:
        self.calls.append((args, kwargs))
        return torch.tensor(5.0)

    def test_calls_the_function_with_its_constants(self):
        module = LossModule(self.function, 'mean', 3, gamma=2, clip=None)
        assert module('pred', 'target') == 15
        assert self.calls == [(('pred', 'target', None), dict(
            reduction='mean', avg_factor=None, gamma=2, clip=None))]

    def test_what_a_call_gives_comes_first(self):
        module = LossModule(self.function, 'mean', 1, gamma=2)
        module.gamma = 4
        module('pred', 'target', 'weight', avg_factor=7, reduction_override='sum', epoch=1)
        assert self.calls == [(('pred', 'target', 'weight'), dict(
            reduction='sum', avg_factor=7, gamma=4, epoch=1))]

    def test_shows_its_constants(self):
        module = LossModule(self.function, 'mean', 3, gamma=2, clip=None)
        assert repr(module) == "LossModule(gamma=2, clip=None, reduction='mean', loss_weight=3)"

    def test_an_unknown_reduction_is_named_before_any_batch(self):
        with pytest.raises(ValueError, match="reduction must be one of .*, got 'max'"):
            LossModule(self.function, 'max', 1)


def test_a_sum_has_no_average_factor():
    for reduction in ('none', 'mean'):
        check_reduction(reduction, 2)
    check_reduction('sum')
    with pytest.raises(ValueError, match='avg_factor can not be used'):
        check_reduction('sum', 2)
    with pytest.raises(ValueError, match='reduction must be one of'):
        check_reduction('max')


def test_average():
    total = torch.tensor(6.0, dtype=torch.float64)
    entries = torch.tensor([[1, -1, 0], [-1, -1, 1]])
    assert average(total, None, entries) == 1
    assert average(total, None, entries, -1) == 2
    assert average(total, None, entries[:1, :1]) == average(total, None, entries[:1, :1], -1) == 6
    assert average(total, None, entries[:0]) == average(total, None, entries[:0], -1) == 6
    assert average(total, None, entries[:1, 1:2], -1) == 6
    assert average(total, 4, entries, -1) == 6 / (4 + EPS)
    assert average(total, 0, entries) == 6 / EPS


@pytest.mark.parametrize('shape, view', [
    ((2, ), (2, 1)), ((2, 1), (2, 1)), ((3, ), (1, 3)), ((1, 3), (1, 3)), ((6, ), (2, 3)),
    ((2, 3), (2, 3))])
def test_weights_that_fit(shape, view):
    weight = torch.arange(float(torch.Size(shape).numel())).view(shape)
    torch.testing.assert_close(broadcast_weight(weight, torch.Size((2, 3))), weight.view(view))


def test_a_weight_that_fits_samples_and_classes_is_the_samples():
    assert broadcast_weight(torch.ones(3), torch.Size((3, 3))).shape == (3, 1)
    assert broadcast_weight(torch.ones(3), torch.Size((1, 3))).shape == (1, 3)
    assert broadcast_weight(None, torch.Size((3, 3))) is None


@pytest.mark.parametrize('shape', [(), (1, ), (4, ), (3, 2), (1, 2), (3, 1), (1, 6), (1, 2, 3)])
def test_a_weight_that_does_not_fit_is_named(shape):
    message = (f'weight of shape {shape} does not fit predictions of shape (2, 3): expected one '
               'of (2,), (3,), (6,), (2, 1), (1, 3), (2, 3)')
    with pytest.raises(ValueError) as caught:
        broadcast_weight(torch.ones(shape), torch.Size((2, 3)))
    assert str(caught.value) == message


def test_values_are_checked_where_nobody_waits(monkeypatch):
    here, elsewhere = torch.zeros(1), torch.zeros(1, device='meta')
    assert should_validate(here, None) and not should_validate(elsewhere, None)
    assert should_validate(here, True) and should_validate(elsewhere, True)
    assert not should_validate(here, False) and not should_validate(elsewhere, False)
    monkeypatch.setattr(loss_module, 'is_compiling', lambda: True)
    assert not should_validate(here, None) and not should_validate(here, True)


def test_nan_logits_are_located():
    nan = torch.tensor([[0.0, 0.0], [0.0, torch.nan], [torch.nan, 0.0]])
    number = torch.zeros(3)
    with pytest.raises(ValueError, match=r'2 of 6 logits are NaN, the first at \(1, 1\): '):
        check_nan(nan, nan, None)
    check_nan(nan, nan, False)
    check_nan(nan, number, None)  # the loss alone
    check_nan(number, nan, None)  # of entries that are left out
