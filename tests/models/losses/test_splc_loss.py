from functools import partial

import pytest
import torch
from mmengine.logging import MessageHub

from tresnet_mm.models.losses import SPLCLoss, splc_loss

from .conventions import check_constant, check_formula, check_module, draw
from .reference import gradient, plain_splc


@pytest.mark.parametrize('soft', [False, True])
@pytest.mark.parametrize('constants', [
    dict(epoch=0), dict(epoch=1), dict(epoch=2),
    dict(epoch=2, change_epoch=3, tau=0.3, margin=0.5, gamma=3),
    dict(epoch=5, change_epoch=3, tau=0.3, margin=0.5, gamma=3)], ids=str)
def test_equals_the_formula_and_its_gradient(constants, soft):
    check_formula(partial(splc_loss, **constants), partial(plain_splc, **constants), soft)


def test_a_probability_of_tau_is_not_above_it():
    x, absent = torch.zeros(1, 1, requires_grad=True), torch.zeros(1, 1)
    assert gradient(splc_loss(x, absent, epoch=1, tau=0.5), x) > 0
    assert gradient(splc_loss(x, absent, epoch=1, tau=0.49), x) < 0


def test_module():
    check_module(SPLCLoss, splc_loss, dict(epoch=2), tau=0.9, change_epoch=2, margin=0.5, gamma=0)


@pytest.mark.parametrize('name, value', [
    ('gamma', -0.1), ('tau', 0), ('tau', 1), ('reduction', 'max')])
def test_a_constant_out_of_range_is_named(name, value):
    check_constant(SPLCLoss, splc_loss, name, value, epoch=0)


def test_reads_the_epoch_of_the_run(monkeypatch):
    hub = MessageHub('a run')
    monkeypatch.setattr(MessageHub, 'get_current_instance', lambda: hub)
    x, y = draw()
    loss = SPLCLoss()
    torch.testing.assert_close(loss(x, y), plain_splc(x, y, 0).sum())
    for epoch in (0, 1, 7):
        hub.update_info('epoch', epoch)
        torch.testing.assert_close(loss(x, y), plain_splc(x, y, epoch).sum())
        torch.testing.assert_close(loss(x, y, epoch=0), plain_splc(x, y, 0).sum())
    assert loss(x, y) != loss(x, y, epoch=0)
