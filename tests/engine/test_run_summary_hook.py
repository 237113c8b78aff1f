"""What a run says before it starts and after it has ended."""

import re
import shlex
import sys
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import DefaultSampler
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.model import BaseModel
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from tresnet_mm.engine import RunSummaryHook
from tresnet_mm.engine.run_summary import (
    as_block,
    backbone_name,
    optimizer,
    parameter_counts,
    schedule,
    task_name,
)
from tresnet_mm.engine.run_summary_hook import main_metric, peak_memory
from tresnet_mm.models import TResNet

TINY = dict(depths=(1, 1, 1, 1), width=0.25)
#: What is measured after each epoch: the second is best.
SCORES = (0.25, 0.75, 0.5)


class Images(list):
    metainfo = dict(classes=('cat', 'dog', 'eel'))


class Model(BaseModel):

    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(torch.zeros(3))
        self.frozen = torch.nn.Parameter(torch.zeros(4), requires_grad=False)

    def forward(self, inputs, mode='tensor'):
        return dict(loss=self.w.sum()) if mode == 'loss' else [dict()] * len(inputs)


class Scores(BaseMetric):
    default_prefix = 'toy'

    def __init__(self):
        super().__init__()
        self.scores = iter(SCORES)

    def process(self, data_batch, data_samples):
        self.results += data_samples

    def compute_metrics(self, results):
        return dict(AR=0.0, mAP=next(self.scores))


def loader(images, batch):
    data = Images([dict(inputs=torch.zeros(1))] * images)
    return DataLoader(data, batch_size=batch, sampler=DefaultSampler(data, shuffle=False))


def said(tmp_path, hook=None, hooks=(), **changes):
    """The two blocks of a run of three epochs, each as {name: text}."""
    blocks = []
    settings = dict(
        model=Model(), work_dir=str(tmp_path), train_dataloader=loader(12, 4),
        val_dataloader=loader(5, 2), val_evaluator=Evaluator(Scores()), val_cfg=dict(),
        train_cfg=dict(by_epoch=True, max_epochs=3),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.5), accumulative_counts=2),
        custom_hooks=[hook or RunSummaryHook(), *hooks], log_level='WARNING',
        experiment_name=f'toy{len(changes)}{tmp_path.name}', cfg=Config(
            dict(optim_wrapper=dict(optimizer=dict(lr=0.5)))))
    runner = Runner(**{**settings, **changes})
    runner.logger.info = blocks.append
    runner.train()
    blocks = [text for text in blocks if '\n----' in text]
    return [dict(re.split('  +', line, maxsplit=1) for line in text.splitlines()[3:])
            for text in blocks], runner


def test_before_and_after(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path.parent)
    (before, after), runner = said(tmp_path, RunSummaryHook(
        config='my cfg.py', test_options=['--cfg-options', 'a=[1, 2]']))
    assert before['train'] == '12 images, 4 a step, weights moved every 2 steps'
    assert before['validation'] == '5 images, every epoch'
    assert before['classes'] == '3: cat, dog, eel'
    assert before['schedule'] == '3 epochs of 3 steps, a constant learning rate'
    assert before['optimizer'] == 'SGD, learning rate 0.5'
    assert before['parameters'] == '7, 3 trained'
    assert before['weights'] == 'random'
    assert before['files'] == tmp_path.name  # as it is typed from here
    assert (tmp_path.parent / before['log']).is_file()
    assert after['best'] == 'toy/mAP 0.7500 after epoch 2'
    assert after['its weights'] == f'{tmp_path.name}/epoch_2.pth'
    assert after['last weights'] == f'{tmp_path.name}/epoch_3.pth'
    assert shlex.split(after['test it by']) == [
        'tresnet-mm', 'test', 'my cfg.py', f'{tmp_path.name}/epoch_2.pth', '--cfg-options',
        'a=[1, 2]']


def test_best_weights_that_were_not_kept_are_not_promised(tmp_path):
    hooks = dict(checkpoint=dict(type='CheckpointHook', interval=1, max_keep_ckpts=1))
    (_, after), _ = said(tmp_path, default_hooks=hooks)
    assert after['its weights'] == (
        "not kept; default_hooks.checkpoint.save_best='toy/mAP' keeps them")
    assert after['test it by'].endswith('epoch_3.pth')


def test_the_file_of_save_best_is_named(tmp_path):
    hooks = dict(checkpoint=dict(type='CheckpointHook', interval=5, save_best='toy/mAP',
                                 rule='greater'))
    (_, after), _ = said(tmp_path, default_hooks=hooks)
    assert after['best'] == 'toy/mAP 0.7500 after epoch 2'
    assert after['its weights'].endswith('/best_toy_mAP_epoch_2.pth')


def test_the_record_of_the_best_weights_hook_is_taken(tmp_path):
    (_, after), _ = said(tmp_path, hooks=[dict(type='BestWeightsHook', metric='toy/mAP')])
    assert after['best'] == 'toy/mAP 0.7500 (plain weights) after epoch 2'
    assert after['its weights'].endswith('best_toy_mAP_plain_epoch_2.pth')


def test_a_run_without_validation_has_no_best(tmp_path):
    (before, after), _ = said(tmp_path, val_dataloader=None, val_cfg=None, val_evaluator=None)
    assert 'validation' not in before and 'best' not in after
    assert after['test it by'].endswith('epoch_3.pth')


def test_a_resumed_run_says_from_where(tmp_path):
    said(tmp_path, train_cfg=dict(by_epoch=True, max_epochs=1))
    (before, after), _ = said(tmp_path, resume=True, train_cfg=dict(by_epoch=True, max_epochs=2),
                              experiment_name=f'again{tmp_path.name}')
    assert before['weights'] == 'resumed after epoch 1'
    assert after['best'] == 'toy/mAP 0.2500 after epoch 2'  # the first of this run's


def test_runs_by_iteration(tmp_path):
    (before, after), _ = said(
        tmp_path, train_cfg=dict(by_epoch=False, max_iters=4, val_interval=2),
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=2)))
    assert before['schedule'] == '4 steps, a constant learning rate'
    assert before['validation'] == '5 images, every 2 iterations'
    assert after['best'] == 'toy/mAP 0.7500 after iteration 4'
    assert after['its weights'].endswith('/iter_4.pth')


@pytest.mark.parametrize(('metrics', 'expected'), [
    ({}, None), ({'loss': 1.0}, 'loss'), ({'coco/bbox_mAP_50': 1, 'coco/bbox_mAP': 0},
                                          'coco/bbox_mAP'),
    ({'multi-label/CF1': 1, 'multi-label/mAP': 0}, 'multi-label/mAP')])
def test_the_metric_that_tells_a_run(metrics, expected):
    assert main_metric(metrics) == expected


@pytest.mark.parametrize(('name', 'task'), [
    ('fcos_tresnet_tiny_shapes', 'detection (FCOS)'),
    ('multilabel_tresnet_tiny_shapes', 'multi-label (MultiLabelClassifier)'),
    ('multitask_fcos_tresnet_tiny_shapes', 'detection and multi-label (FCOS)')])
def test_tasks(name, task, repo_root):
    cfg = Config.fromfile(repo_root / f'configs/{name}.py')
    init_default_scope('mmdet')
    model = MODELS.build(cfg.model)
    assert task_name(model) == task
    assert backbone_name(model).startswith('TResNet (depths 1 1 1 1, width 0.5')


def test_backbone_and_parameters():
    frozen = TResNet(TINY, frozen_stages=4)
    count = f'{sum(p.numel() for p in frozen.parameters()):,}'
    assert parameter_counts(frozen) == f'{count}, 0 trained'
    assert parameter_counts(TResNet(TINY)) == f'{count}, all trained'
    assert backbone_name(TResNet('m')) == 'TResNet m'
    assert backbone_name(Model()) == 'Model'


def test_a_block_is_two_columns():
    assert as_block('Title', [('a', 'one'), ('longer', 'two')]).splitlines() == [
        '', 'Title', '-----', 'a       one', 'longer  two']


def test_the_schedules_of_several_optimisers():
    one, other = torch.optim.lr_scheduler.StepLR, torch.optim.lr_scheduler.LambdaLR
    runner = SimpleNamespace(train_loop=None, max_iters=7, param_schedulers=dict(
        a=[object.__new__(one)], b=[object.__new__(other), object.__new__(one)]))
    assert schedule(runner) == '7 steps, StepLR, LambdaLR'


@pytest.mark.parametrize(('cfg', 'expected'), [
    ({}, 'SGD'), (dict(optim_wrapper=dict(optimizer=dict(type='SGD'))), 'SGD'),
    (dict(optim_wrapper=dict(optimizer=dict(lr=0.1))), 'SGD, learning rate 0.1'),
    (dict(optim_wrapper=dict(optimizer=dict(lr=0.1)),
          auto_scale_lr=dict(enable=True, base_batch_size=8)),
     "SGD, learning rate 0.025 (the config's 0.1 x 0.25)"),
])
def test_the_learning_rate(cfg, expected):
    runner = SimpleNamespace(
        cfg=cfg, train_dataloader=loader(4, 2), optim_wrapper=SimpleNamespace(
            optimizer=torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.5)))
    assert optimizer(runner) == expected


def test_memory_where_the_system_does_not_tell(monkeypatch):
    """As on Windows."""
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    assert re.fullmatch(r'\d+\.\d GiB', peak_memory())
    monkeypatch.setitem(sys.modules, 'resource', None)
    assert peak_memory() == 'not known'
