"""A run of a second: random images, augmentation, dropout, running statistics and averages."""

import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, METRICS, MODELS
from mmengine.runner import Runner

import tresnet_mm  # noqa: F401
from tresnet_mm.checkpoint.files import read_file


@DATASETS.register_module()
class DrawnNumbers(BaseDataset):
    """Eight items, each augmented by all three generators."""

    def load_data_list(self):
        return [dict(value=float(i)) for i in range(8)]

    def prepare_data(self, idx):
        value = self.get_data_info(idx)['value']
        drawn = [0.1, 0.2, 0.3] if self.test_mode else [
            random.random(), np.random.rand(), float(torch.rand(()))]
        return dict(inputs=torch.tensor([value, *drawn]))


@MODELS.register_module()
class DropoutNet(BaseModel):
    def __init__(self, bad_iter=None):
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(4)
        self.linear = torch.nn.Linear(4, 1)
        self.bad_iter, self.calls = bad_iter, 0

    def forward(self, inputs, mode='loss'):
        x = self.norm(torch.stack(list(inputs)))
        if mode != 'loss':
            return self.linear(x)
        self.calls += 1
        loss = self.linear(torch.nn.functional.dropout(x, 0.5)).square().mean()
        factor = float('nan') if self.calls == self.bad_iter else 1.0
        return dict(loss_good=loss, loss_bad=loss * factor)


@METRICS.register_module()
class MeanOutput(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results.extend(float(value) for value in data_samples)

    def compute_metrics(self, results):
        return dict(mean=float(np.mean(results)))


def config(work_dir, name, hooks, epochs=4, workers=0, resume=False, keep=1, model=None, seed=3,
           save_best=None):
    loader = dict(batch_size=2, num_workers=workers, persistent_workers=workers > 0)
    return Config(dict(
        model=dict(type='DropoutNet', **(model or {})), work_dir=str(work_dir),
        experiment_name=name, default_scope='mmengine', log_level='WARNING', resume=resume,
        randomness=dict(seed=seed), train_cfg=dict(by_epoch=True, max_epochs=epochs),
        train_dataloader=dict(loader, sampler=dict(type='DefaultSampler', shuffle=True),
                              dataset=dict(type='DrawnNumbers')),
        val_dataloader=dict(batch_size=2, sampler=dict(type='DefaultSampler', shuffle=False),
                            dataset=dict(type='DrawnNumbers', test_mode=True)),
        val_cfg=dict(), val_evaluator=dict(type='MeanOutput'),
        optim_wrapper=dict(optimizer=dict(type='AdamW', lr=0.1)),
        param_scheduler=[dict(type='OneCycleFromLR', total_steps=epochs, by_epoch=True,
                              convert_to_iter_based=True)],
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=1, max_keep_ckpts=keep,
                                           save_best=save_best, rule=save_best and 'greater')),
        custom_hooks=[dict(type='EMAHook', momentum=0.1), *hooks]))


@pytest.fixture
def train(tmp_path, request):
    """Train in a folder; returns the folder."""
    count = iter(range(100))

    def run(folder, *hooks, extra=(), **settings):
        folder = tmp_path / folder
        name = f'{request.node.name}_{next(count)}'
        runner = Runner.from_cfg(config(folder, name, list(hooks), **settings))
        for hook in extra:
            runner.register_hook(hook, 'LOWEST')
        runner.train()
        return folder

    return run


def state(path):
    """All tensors of a checkpoint by name: weights, averages, the optimiser's."""
    content = read_file(path)
    found = {}

    def walk(node, name):
        if isinstance(node, torch.Tensor):
            found[name] = node
        elif isinstance(node, dict):
            for key, value in node.items():
                walk(value, f'{name}.{key}')
        elif isinstance(node, (list, tuple)):
            for i, value in enumerate(node):
                walk(value, f'{name}.{i}')

    for part in ('state_dict', 'ema_state_dict', 'optimizer'):
        walk(content[part], part)
    return found


def assert_same_state(one, other):
    one, other = state(one), state(other)
    assert one.keys() == other.keys()
    different = [name for name in one if not torch.equal(one[name], other[name])]
    assert not different


def copy_run(source: Path, target: Path):
    shutil.copytree(source, target)
    return target
