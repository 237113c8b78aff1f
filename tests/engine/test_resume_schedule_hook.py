"""A resumed run under a changed schedule, against a run that had it from the start."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.optim import LinearLR, OptimWrapper, OptimWrapperDict
from mmengine.registry import DATASETS, MODELS
from mmengine.runner import Runner

import tresnet_mm  # noqa: F401
from tresnet_mm.engine import ResumeScheduleHook


@DATASETS.register_module()
class FourNumbers(BaseDataset):
    def load_data_list(self):
        return [dict(value=float(i)) for i in range(4)]


@MODELS.register_module()
class OneWeight(BaseModel):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, value, sample_idx=None, mode='loss'):
        return dict(loss=(self.weight * sum(value)).sum())


class Watch(Hook):
    """Notes what each iteration is done with."""

    def __init__(self):
        self.seen = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        group = runner.optim_wrapper.param_groups[0]
        self.seen.append((group['lr'], group['momentum']))


ONE_CYCLE = [dict(type='OneCycleFromLR', total_steps=2, by_epoch=True, convert_to_iter_based=True)]
STEPS = [dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=3),
         dict(type='MultiStepLR', milestones=[2, 4], gamma=0.1, end=6),
         dict(type='CosineAnnealingMomentum', eta_min=0.5, T_max=6, end=6)]


def run(work_dir, epochs, schedule, resume=False, hook=None, lr=0.1, name='run'):
    """Learning rates (and momenta) of each iteration."""
    cfg = Config(dict(
        model=dict(type='OneWeight'), work_dir=str(work_dir), experiment_name=f'{name}{epochs}',
        train_dataloader=dict(
            batch_size=2, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=dict(type='FourNumbers')),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=lr, momentum=0.9)),
        param_scheduler=schedule, resume=resume, default_scope='mmengine', log_level='WARNING',
        custom_hooks=[dict(type='ResumeScheduleHook', schedule=hook)] if hook else []))
    runner = Runner.from_cfg(cfg)
    watch = Watch()
    runner.register_hook(watch)
    runner.train()
    return watch.seen


@pytest.mark.reliability(
    done='a run is resumed with more epochs',
    happens='its learning rates are those of a run that had them from the start')
def test_the_config_holds_where_it_was_changed(tmp_path):
    whole = run(tmp_path / 'whole', 6, [dict(ONE_CYCLE[0], total_steps=6)], name='a')
    run(tmp_path / 'part', 2, ONE_CYCLE, name='b')
    resumed = run(tmp_path / 'part', 6, [dict(ONE_CYCLE[0], total_steps=6)], True, 'config',
                  name='c')
    assert resumed == pytest.approx(np.array(whole[4:]))


def test_the_peak_follows_the_config_too(tmp_path):
    whole = run(tmp_path / 'whole', 4, [dict(ONE_CYCLE[0], total_steps=4)], lr=0.3, name='d')
    run(tmp_path / 'part', 2, ONE_CYCLE, name='e')
    resumed = run(tmp_path / 'part', 4, [dict(ONE_CYCLE[0], total_steps=4)], True, 'config', 0.3,
                  name='f')
    assert resumed == pytest.approx(np.array(whole[4:]))


def test_another_kind_of_schedule(tmp_path):
    whole = run(tmp_path / 'whole', 6, STEPS, name='g')
    run(tmp_path / 'part', 2, ONE_CYCLE, name='h')
    resumed = run(tmp_path / 'part', 6, STEPS, True, 'config', name='i')
    assert resumed == pytest.approx(np.array(whole[4:]))


@pytest.mark.reliability(
    done='a run is resumed with an unchanged schedule',
    happens='its learning rates go on as if there had been no break')
def test_an_unchanged_schedule_goes_on_as_it_was(tmp_path):
    whole = run(tmp_path / 'whole', 6, STEPS, name='j')
    run(tmp_path / 'part', 2, STEPS, name='k')
    for hook in ('config', 'checkpoint', None):
        assert run(tmp_path / 'part', 3, STEPS, True, hook, name=f'l{hook}') == pytest.approx(
            np.array(whole[4:6]))
        (tmp_path / 'part/epoch_3.pth').unlink()
        (tmp_path / 'part/last_checkpoint').write_text(str(tmp_path / 'part/epoch_2.pth'))


def test_the_checkpoints_can_be_kept(tmp_path):
    run(tmp_path, 2, ONE_CYCLE, name='m')
    longer = [dict(ONE_CYCLE[0], total_steps=6)]
    kept = run(tmp_path, 6, longer, True, 'checkpoint', name='n')
    assert max(lr for lr, _ in kept) < 1e-5, "the end of the checkpoint's cycle"


def test_only_two_schedules_can_be_asked_for():
    with pytest.raises(ValueError, match="'config' or 'checkpoint', got 'both'"):
        tresnet_mm.engine.ResumeScheduleHook('both')


def two_optimisers(end, resume=True):
    """A run of an adversarial kind, after 5 iterations, as far as the hook asks."""
    optimizers = {name: torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=lr)
                  for name, lr in (('a', 0.1), ('b', 0.3))}
    return SimpleNamespace(
        _resume=resume, epoch=0, iter=5, train_loop=None, logger=logging.getLogger('two'),
        optim_wrapper=OptimWrapperDict(**{
            name: OptimWrapper(optimizer) for name, optimizer in optimizers.items()}),
        param_schedulers={name: [LinearLR(optimizer, start_factor=0.1, by_epoch=False, end=end)]
                          for name, optimizer in optimizers.items()})


def states(runner):
    return {name: [one.state_dict() for one in several]
            for name, several in runner.param_schedulers.items()}


def rates(runner):
    return [wrapper.param_groups[0]['lr'] for wrapper in runner.optim_wrapper.values()]


def test_the_schedules_of_several_optimisers(caplog):
    before, runner, whole = two_optimisers(20), two_optimisers(10), two_optimisers(10)
    for several in (*before.param_schedulers.values(), *whole.param_schedulers.values()):
        for _ in range(5):
            several[0].step()
    hook = ResumeScheduleHook()
    hook.before_run(runner)
    for name, several in runner.param_schedulers.items():  # as the runner restores them
        several[0].load_state_dict(states(before)[name][0])
    hook.after_load_checkpoint(runner, dict(param_schedulers=states(before)))
    hook.before_train(runner)
    assert rates(runner) == pytest.approx(rates(whole), rel=1e-12)
    assert rates(runner) != pytest.approx(rates(before), rel=1e-2)
    assert 'holds from epoch 0, iteration 5, at a learning rate of' in caplog.text


@pytest.mark.parametrize('resume, checkpoint', [
    (False, dict(param_schedulers=states(two_optimisers(20)))), (True, {})])
def test_without_a_schedule_to_compare_nothing_changes(resume, checkpoint, caplog):
    """Weights that a run starts from, or a checkpoint without its schedule."""
    runner, hook = two_optimisers(10, resume), ResumeScheduleHook()
    hook.before_run(runner)
    hook.after_load_checkpoint(runner, checkpoint)
    hook.before_train(runner)
    assert rates(runner) == rates(two_optimisers(10)) and not caplog.messages
