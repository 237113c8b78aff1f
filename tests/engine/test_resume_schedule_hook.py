"""A resumed run under a changed schedule, against a run that had it from the start."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, MODELS
from mmengine.runner import Runner

import tresnet_mm  # noqa: F401


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
