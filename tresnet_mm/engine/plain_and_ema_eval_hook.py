"""Validation of both the plain and the averaged weights."""

import torch
from mmengine.hooks import EMAHook, Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from mmengine.runner.amp import autocast


def find_ema_hook(runner: Runner) -> EMAHook | None:
    """The runner's EMA hook, or None."""
    return next((hook for hook in runner.hooks if isinstance(hook, EMAHook)), None)


def ema_key(key: str) -> str:
    """Name of a metric for the averaged weights: ``multi-label/mAP`` -> ``multi-label/ema_mAP``."""
    prefix, slash, name = key.rpartition('/')
    return f'{prefix}{slash}ema_{name}'


@HOOKS.register_module()
class PlainAndEMAEvalHook(Hook):
    """Evaluate the plain weights too where ``EMAHook`` evaluates the averaged ones.

    ``EMAHook`` swaps the averaged weights in for validation, so only they are evaluated. At a
    decay of 0.9997 they lag behind the plain weights for the first epochs (ASL reports 57.8 mAP
    plain against 6.4 after the first). During training this hook runs the validation set once
    more, before the swap; the metrics of the plain weights keep their names, those of the
    averaged weights are called ``ema_...``: ``multi-label/mAP`` and ``multi-label/ema_mAP``.
    """

    # First of all: the plain weights are still in place before validation, and after it the names
    # are settled before any other hook reads them.
    priority = 'HIGHEST'

    def __init__(self) -> None:
        self._training = False
        self._plain: dict = {}

    def before_train(self, runner: Runner) -> None:
        """Check that there are averaged weights to compare with."""
        if find_ema_hook(runner) is None:
            raise ValueError(
                'PlainAndEMAEvalHook needs EMAHook in custom_hooks: without it the validation '
                'evaluates the plain weights already'
            )
        self._training = True

    def after_train(self, runner: Runner) -> None:
        """Validation outside training sees one set of weights only."""
        self._training = False

    def before_val_epoch(self, runner: Runner) -> None:
        """Evaluate the plain weights."""
        if self._training:
            runner.logger.info('Evaluating the plain weights, then the averaged (EMA) ones')
            self._plain = self._evaluate(runner)

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Put both results into ``metrics``, each under its name."""
        if self._training and metrics is not None:
            averaged = {ema_key(key): value for key, value in metrics.items()}
            metrics.clear()
            metrics.update(self._plain)
            metrics.update(averaged)

    @staticmethod
    @torch.no_grad()
    def _evaluate(runner: Runner) -> dict:
        """One pass over the validation set without calling any hook."""
        loop = runner.val_loop
        runner.model.eval()
        for data_batch in loop.dataloader:
            with autocast(enabled=loop.fp16):
                outputs = runner.model.val_step(data_batch)
            loop.evaluator.process(data_samples=outputs, data_batch=data_batch)
        return loop.evaluator.evaluate(len(loop.dataloader.dataset))
