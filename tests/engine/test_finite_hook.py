"""Losses and gradients that are not finite: the run stops before the step, or leaves it out."""

import logging
from types import SimpleNamespace

import pytest
import torch
from mmengine.optim import OptimWrapper

from tests.models.readbacks import Readbacks
from tresnet_mm.checkpoint.files import read_file
from tresnet_mm.engine import FiniteHook, NotFinite

from .conftest import state


@pytest.mark.reliability(
    done='a loss is NaN',
    happens='the run stops with the weights of before the step, saved')
def test_the_run_stops_with_the_weights_of_before(train, tmp_path):
    with pytest.raises(NotFinite, match=r'iteration 5 \(epoch 2\): the loss is not finite: '
                       r'loss_bad is nan; images') as error:
        train('bad', dict(type='RepeatableHook'), dict(type='FiniteHook'), model=dict(bad_iter=5))
    folder = tmp_path / 'bad'
    saved = folder / 'not_finite_epoch_1_iter_4.pth'
    assert f'tresnet-mm replay {saved}' in str(error.value)
    meta = read_file(saved)['meta']
    assert (meta['epoch'], meta['iter']) == (1, 4)
    before, after = state(folder / 'epoch_1.pth'), state(saved)
    different = {name.rpartition('norm.')[2] for name in before
                 if not torch.equal(before[name], after[name])}
    # A forward pass was made, so the statistics have moved; all that a step changes has not.
    assert different == {'running_mean', 'running_var', 'num_batches_tracked'}


@pytest.mark.reliability(
    done='a loss is NaN, with `--not-finite skip`',
    happens='the step is left out; weights, averages and running statistics stay as they were')
def test_a_step_can_be_skipped(train):
    folder = train('skip', dict(type='RepeatableHook'), dict(type='FiniteHook', action='skip'),
                   model=dict(bad_iter=4), epochs=1)
    good = train('good', dict(type='RepeatableHook'), epochs=1, model=dict(bad_iter=None))
    skipped, whole = state(folder / 'epoch_1.pth'), state(good / 'epoch_1.pth')
    assert all(value.isfinite().all() for value in skipped.values())
    assert skipped['optimizer.state.0.step'] == 3 and whole['optimizer.state.0.step'] == 4
    assert skipped['state_dict.norm.num_batches_tracked'] == 3


@pytest.mark.reliability(
    done='losses stay infinite, with `--not-finite skip`',
    happens='after the limit in a row the run stops')
def test_too_many_in_a_row_stop_the_run(train, monkeypatch):
    from .conftest import DropoutNet
    forward = DropoutNet.forward

    def broken(self, inputs, mode='loss'):
        losses = forward(self, inputs, mode)
        return {key: value * float('inf') for key, value in losses.items()} \
            if mode == 'loss' else losses

    monkeypatch.setattr(DropoutNet, 'forward', broken)
    with pytest.raises(NotFinite, match=r'iteration 4 '):
        train('run', dict(type='FiniteHook', action='skip', limit=3))


@pytest.mark.reliability(
    done='a gradient is NaN and the loss is not',
    happens='the run stops and names the parameters')
def test_a_gradient_alone_is_seen_and_named(train, monkeypatch):
    from .conftest import DropoutNet

    class Root(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, grad):
            return grad * float('nan')

    def broken(self, inputs, mode='loss'):
        x = self.norm(torch.stack(list(inputs)))
        return dict(loss=Root.apply(self.linear(x)).mean()) if mode == 'loss' else self.linear(x)

    monkeypatch.setattr(DropoutNet, 'forward', broken)
    with pytest.raises(NotFinite, match=r'the gradient is not finite, of .*linear\.weight'):
        train('run', dict(type='FiniteHook'))


def test_a_step_waits_once_for_the_device():
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    model.parse_losses = lambda losses: (sum(losses.values()), losses)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    hook, runner = FiniteHook(), SimpleNamespace(
        model=model, optim_wrapper=OptimWrapper(optimizer))
    hook.before_train(runner)
    with Readbacks('cpu') as reads:
        hook.before_train_iter(runner, 0)
        loss, _ = model.parse_losses(
            dict(loss_a=model(torch.ones(1, 2)).sum(), loss_b=model(torch.ones(1, 2)).mean()))
        loss.backward()
        optimizer.step()
        hook.after_train_iter(runner, 0)
    assert len(reads.ours) == 1


@pytest.mark.parametrize('settings, message', [
    (dict(action='pass'), "action must be one of .*'pass'"), (dict(limit=0), 'limit .*0')])
def test_wrong_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        FiniteHook(**settings)


def test_images_with_bad_pixels_are_named():
    from mmengine.structures import BaseDataElement

    from tresnet_mm.engine.finite_hook import bad_inputs, image_files
    batch = dict(inputs=[torch.ones(3, 2, 2), torch.full((3, 2, 2), float('inf'))],
                 data_samples=[BaseDataElement(metainfo=dict(img_path=f'{name}.jpg'))
                               for name in 'ab'])
    assert image_files(batch) == ['a.jpg', 'b.jpg'] and bad_inputs(batch) == ['b.jpg']
    for without in (None, {}, [torch.ones(1)], dict(data_samples=batch['data_samples'])):
        assert bad_inputs(without) == []


def test_a_loss_is_looked_at_where_no_step_follows():
    """As where gradients are added up over several iterations."""
    saved, hook = [], FiniteHook()
    runner = SimpleNamespace(
        epoch=0, iter=2, work_dir='work', logger=logging.getLogger('finite'),
        save_checkpoint=lambda folder, name, **how: saved.append((folder, name)))
    hook._terms = dict(loss=torch.tensor(1.0))
    hook.after_train_iter(runner, 0)
    hook._terms = dict(loss=torch.tensor(float('nan')))
    with pytest.raises(NotFinite, match=r'iteration 3 \(epoch 1\): the loss is not finite: loss is '
                       'nan; images: unknown'):
        hook.after_train_iter(runner, 0)
    assert saved == [('work', 'not_finite_epoch_0_iter_2.pth')]
