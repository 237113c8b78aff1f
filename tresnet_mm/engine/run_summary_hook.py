"""What a training run is, before it; what it reached and how to test that, after it."""

from __future__ import annotations

import datetime
import os.path as osp
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from mmengine.dist import master_only
from mmengine.hooks import CheckpointHook, Hook
from mmengine.registry import HOOKS
from mmengine.runner import EpochBasedTrainLoop, Runner

from .best_weights_hook import BestWeightsHook
from .run_summary import Fact, as_block, run_facts, short_path


@dataclass(frozen=True)
class _Best:
    """The best validation of a run; ``file`` is None where its weights were not kept."""

    metric: str
    score: float
    when: str
    file: str | None


@HOOKS.register_module()
class RunSummaryHook(Hook):
    """Print one block about the run before training, and one about its outcome after it.

    The first says what is trained, on which images and devices, by which schedule, and where files
    go. The second says what was best, where its weights are, and the command that tests them.

    Args:
        metric: The validation metric to follow, greater is better. Default: the one by which the
            best weights are kept (`BestWeightsHook`, ``save_best`` of ``CheckpointHook``), else
            the first that is called mAP, else the first.
        config: The config as the test command is to name it (default: its file).
        test_options: What the test command needs beside config and checkpoint.
        max_classes: So many classes are named at most.
    """

    # Last of all: names of metrics are settled and checkpoints written before.
    priority = 'LOWEST'

    def __init__(self, metric: str | None = None, config: str | None = None,
                 test_options: Sequence[str] = (), max_classes: int = 12) -> None:
        self.metric = metric
        self.config = config
        self.test_options = tuple(test_options)
        self.max_classes = max_classes
        self._scores: list[tuple[int, int, dict[str, float]]] = []  # epoch, iteration, metrics
        self._start: float | None = None

    @master_only
    def before_train(self, runner: Runner) -> None:
        """Print what is about to run."""
        self._start = time.monotonic()
        self._scores.clear()
        title = f'Training {runner.experiment_name.removesuffix("_" + runner.timestamp)}'
        runner.logger.info(as_block(title, run_facts(runner, self.max_classes)))

    @master_only
    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Remember what training reached so far."""
        if self._start is not None and metrics:
            numbers = {key: float(value) for key, value in metrics.items()
                       if isinstance(value, (int, float))}
            self._scores.append((runner.epoch, runner.iter, numbers))

    @master_only
    def after_train(self, runner: Runner) -> None:
        """Print what was reached and how to test it."""
        if self._start is None:
            return
        seconds = round(time.monotonic() - self._start)
        self._start = None
        best, last = self._best(runner), last_checkpoint(runner)
        facts: list[Fact] = [('time', str(datetime.timedelta(seconds=seconds))),
                             ('memory', peak_memory())]
        if best is not None:
            kept = best.file and short_path(best.file)
            facts += [('best', f'{best.metric} {best.score:.4f} {best.when}'),
                      ('its weights', kept or 'not kept; default_hooks.checkpoint.save_best='
                       f"'{best.metric}' keeps them")]
        if last is not None:
            facts.append(('last weights', short_path(last)))
        checkpoint = (best and best.file) or last
        if checkpoint is not None:
            facts.append(('test it by', self.test_command(runner, checkpoint)))
        runner.logger.info(as_block('Training is done', facts))

    def test_command(self, runner: Runner, checkpoint: str) -> str:
        """The command line that tests a checkpoint of this run."""
        config = self.config or runner.cfg.filename or osp.join(runner.work_dir, 'CONFIG')
        return shlex.join(['tresnet-mm', 'test', config, short_path(checkpoint),
                           *self.test_options])

    def _best(self, runner: Runner) -> _Best | None:
        for hook in runner.hooks:
            if self.metric is None and isinstance(hook, BestWeightsHook) and hook.best:
                return _Best(hook.metric, hook.best['score'],
                             f'({hook.best["weights"]} weights) after epoch {hook.best["epoch"]}',
                             osp.join(runner.work_dir, hook.best['file']))
        kept = self._kept_by_checkpoint_hook(runner)
        metric = self.metric or (kept and kept[0]) or main_metric(
            self._scores[-1][2] if self._scores else {})
        scored = [entry for entry in self._scores if metric in entry[2]]
        if metric is None or not scored:
            return None
        epoch, iteration, metrics = max(scored, key=lambda entry: entry[2][metric])
        by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
        when = f'after epoch {epoch}' if by_epoch else f'after iteration {iteration}'
        name = f'epoch_{epoch}.pth' if by_epoch else f'iter_{iteration}.pth'
        files = [kept[1] if kept and kept[0] == metric else '', osp.join(runner.work_dir, name)]
        return _Best(metric, metrics[metric], when, next(filter(osp.isfile, files), None))

    @staticmethod
    def _kept_by_checkpoint_hook(runner: Runner) -> tuple[str, str] | None:
        """Metric and file of mmengine's ``save_best``, where it follows one metric."""
        for hook in runner.hooks:
            if isinstance(hook, CheckpointHook) and getattr(hook, 'best_ckpt_path', None):
                return hook.key_indicators[0], str(hook.best_ckpt_path)
        return None


def main_metric(metrics: Mapping[str, float]) -> str | None:
    """The metric to tell a run by: the first called mAP, else the first; None if there are none."""
    named = [key for key in metrics if key.rpartition('/')[2] in ('mAP', 'bbox_mAP')]
    return next(iter([*named, *metrics]), None)


def last_checkpoint(runner: Runner) -> str | None:
    """The file that mmengine's ``CheckpointHook`` wrote last in this run."""
    info = runner.message_hub.runtime_info
    file = info.get('last_ckpt')
    return str(file) if file and osp.isfile(file) else None


def peak_memory() -> str:
    """The most memory that this process had at a time: the GPU's, or without one the machine's."""
    if torch.cuda.is_available():
        return f'{torch.cuda.max_memory_allocated() / 2 ** 30:.1f} GiB of the GPU'
    try:
        import resource  # not there on Windows
    except ImportError:
        return 'not known'
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return f'{peak / 2 ** (30 if sys.platform == "darwin" else 20):.1f} GiB'
