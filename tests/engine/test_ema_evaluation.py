"""Training with an average of the weights: both evaluated, the better kept, resumed."""

import json

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import DefaultSampler
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from tresnet_mm.engine import BestWeightsHook, PlainAndEMAEvalHook
from tresnet_mm.engine.plain_and_ema_eval_hook import ema_key

BATCHES, LR, DECAY = 4, 1.0, 0.9


class Drift(BaseModel):
    """One weight that each step raises by the learning rate; a buffer that counts training."""

    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(torch.zeros(1))
        self.register_buffer('seen', torch.zeros(1))

    def forward(self, inputs, mode='tensor'):
        if mode == 'loss':
            self.seen += 1
            return dict(loss=-self.w.sum())
        return [dict(w=self.w.item(), seen=self.seen.item(), training=self.training)] * len(inputs)


class Closeness(BaseMetric):
    """How near the weight is to a target: rises, then falls, while the weight drifts past it."""

    default_prefix = 'toy'

    def __init__(self, target):
        super().__init__()
        self.target = target

    def process(self, data_batch, data_samples):
        self.results += data_samples

    def compute_metrics(self, results):
        assert not any(r['training'] for r in results)
        assert len(results) == BATCHES * 2
        return dict(near=-abs(results[0]['w'] - self.target), seen=results[0]['seen'])


def loader():
    data = [dict(inputs=torch.zeros(1))] * (BATCHES * 2)
    return DataLoader(data, batch_size=2, sampler=DefaultSampler(data, shuffle=False))


def make(work_dir, epochs, target, resume=False, hooks=None, load_from=None):
    class Recorder(Hook):
        """What the hooks behind ours see."""

        priority = 'LOWEST'
        metrics: list = []

        def after_val_epoch(self, runner, metrics=None):
            Recorder.metrics.append(dict(metrics))

    if hooks is None:
        hooks = [
            dict(type='EMAHook', momentum=1 - DECAY, update_buffers=True),
            dict(type='PlainAndEMAEvalHook'),
            dict(type='BestWeightsHook', metric='toy/near')]
    runner = Runner(
        model=Drift(), work_dir=str(work_dir), train_dataloader=loader(),
        val_dataloader=loader(), val_evaluator=Evaluator(Closeness(target)), val_cfg=dict(),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=LR)),
        custom_hooks=[*hooks, Recorder()], resume=resume, load_from=load_from,
        default_hooks=dict(logger=dict(type='LoggerHook', interval=100)),
        log_level='WARNING', experiment_name=f'{work_dir.name}{epochs}{resume}',
        cfg=Config(dict()))
    return runner, Recorder


def averages(steps):
    """By hand: the average starts as a copy after the first step, then keeps 90 % each step."""
    value, out = None, []
    for step in range(1, steps + 1):
        weight = LR * step
        value = weight if value is None else DECAY * value + (1 - DECAY) * weight
        out.append(value)
    return out


def test_both_are_evaluated_under_their_names(tmp_path):
    runner, recorder = make(tmp_path, epochs=3, target=100.0)
    runner.train()
    by_hand = averages(3 * BATCHES)
    for epoch, metrics in enumerate(recorder.metrics, start=1):
        step = epoch * BATCHES
        assert metrics['toy/near'] == pytest.approx(step - 100)
        assert metrics['toy/ema_near'] == pytest.approx(by_hand[step - 1] - 100, abs=1e-4)
        assert metrics['toy/seen'] == step
        assert metrics['toy/ema_seen'] == pytest.approx(by_hand[step - 1], abs=1e-4)
    assert len(recorder.metrics) == 3
    assert runner.model.w.item() == pytest.approx(12)  # the plain weights are back in place
    scalars = runner.message_hub.log_scalars
    assert scalars['val/toy/ema_near'].current() == recorder.metrics[-1]['toy/ema_near']
    assert scalars['val/toy/near'].current() == recorder.metrics[-1]['toy/near']


@pytest.mark.reliability(
    done='the file of the best weights, plain or averaged, is evaluated',
    happens='its score is the recorded one')
@pytest.mark.parametrize('target, weights, epoch', [
    (8.2, 'plain', 2),  # plain weights: 4, 8, 12
    (6.0, 'ema', 3),  # averages: 1.6, 3.3, 5.8
])
def test_best_file_reproduces_its_score(tmp_path, target, weights, epoch):
    by_hand = averages(12)
    runner, recorder = make(tmp_path, epochs=3, target=target)
    runner.train()
    name = f'best_toy_near_{weights}_epoch_{epoch}.pth'
    assert [path.name for path in tmp_path.glob('best_*.pth')] == [name]
    saved = torch.load(tmp_path / name, weights_only=True)
    expected = epoch * BATCHES if weights == 'plain' else by_hand[epoch * BATCHES - 1]
    assert saved['state_dict']['w'].item() == pytest.approx(expected, abs=1e-4)
    record = json.loads((tmp_path / 'best_weights.json').read_text())
    assert record == dict(
        file=name, score=pytest.approx(-abs(expected - target), abs=1e-4), weights=weights,
        epoch=epoch, iter=epoch * BATCHES)
    # Evaluated on its own, as a test does, the file gives the score that it was kept for.
    again, recorder = make(tmp_path / 'again', 3, target, load_from=str(tmp_path / name))
    assert again.val()['toy/near'] == pytest.approx(record['score'])


@pytest.mark.reliability(
    done='a run is resumed after its best epoch',
    happens='a worse epoch does not replace the best weights')
def test_resume_keeps_the_best(tmp_path):
    """The best lies before the interruption: a worse one after it does not replace it."""
    make(tmp_path, epochs=2, target=8.0)[0].train()
    before = json.loads((tmp_path / 'best_weights.json').read_text())
    assert (before['epoch'], before['weights']) == (2, 'plain')
    # What a kill between the record and the removal of the former best leaves.
    for name in ('best_toy_near_ema_epoch_1.pth', 'best_toy_far_ema_epoch_1.pth'):
        (tmp_path / name).touch()
    runner, recorder = make(tmp_path, epochs=3, target=8.0, resume=True)
    runner.train()
    assert len(recorder.metrics) == 1
    assert recorder.metrics[0]['toy/near'] == pytest.approx(-4)  # went on from weight 8
    ema = recorder.metrics[0]['toy/ema_near']
    assert ema == pytest.approx(averages(12)[-1] - 8, abs=1e-4)
    assert json.loads((tmp_path / 'best_weights.json').read_text()) == before
    assert sorted(path.name for path in tmp_path.glob('best_*.pth')) == [
        'best_toy_far_ema_epoch_1.pth', before['file']]
    # A new run in the same folder starts from nothing.
    make(tmp_path, epochs=1, target=8.0)[0].train()
    assert json.loads((tmp_path / 'best_weights.json').read_text())['epoch'] == 1


def test_best_weights_without_an_average(tmp_path):
    runner, _ = make(tmp_path, 2, 5.0, hooks=[dict(type='BestWeightsHook', metric='toy/near')])
    runner.train()
    assert (tmp_path / 'best_toy_near_plain_epoch_1.pth').exists()


def test_wrong_set_ups_are_refused(tmp_path):
    runner, _ = make(tmp_path, 1, 5.0, hooks=[dict(type='PlainAndEMAEvalHook')])
    with pytest.raises(ValueError, match='needs EMAHook'):
        runner.train()
    runner, _ = make(tmp_path / 'b', 1, 5.0, hooks=[dict(type='BestWeightsHook', metric='toy/x')])
    with pytest.raises(ValueError, match="no metric 'toy/x'.*toy/near"):
        runner.train()


def test_names():
    assert ema_key('multi-label/mAP') == 'multi-label/ema_mAP'
    assert ema_key('mAP') == 'ema_mAP'
    assert HOOKS.get('PlainAndEMAEvalHook') is PlainAndEMAEvalHook
    assert HOOKS.get('BestWeightsHook') is BestWeightsHook


@pytest.mark.reliability(
    done='the record of the best weights is damaged',
    happens='a warning; the resumed run goes on')
def test_a_damaged_record_and_left_files_do_not_stop_a_resumed_run(tmp_path, caplog):
    """What a kill leaves around the exchange of the best weights."""
    import logging
    from types import SimpleNamespace

    from tresnet_mm.engine import BestWeightsHook
    (tmp_path / 'best_weights.json').write_text('{"file": ')
    runner = SimpleNamespace(work_dir=tmp_path, _resume=True, logger=logging.getLogger('best'),
                             model=torch.nn.Identity())
    hook = BestWeightsHook()
    hook.before_train(runner)
    assert hook.best is None
    assert 'best_weights.json cannot be read' in caplog.text
