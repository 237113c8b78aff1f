"""Has the loaders of validation and test say what a worker was reading when it died."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from .watched_fetch import WatchedFetch


@HOOKS.register_module()
class WorkerHook(Hook):
    """Watch what the workers of each loader read; `explain_dead_worker` tells it.

    Training's data set is watched here only where `RepeatableHook`, which also seeds each item, has
    not done it.
    """

    def before_train(self, runner: Runner) -> None:
        _watch(runner.train_loop.dataloader)
        if runner.val_loop is not None:
            _watch(runner.val_loop.dataloader)

    def before_val(self, runner: Runner) -> None:
        _watch(runner.val_loop.dataloader)

    def before_test(self, runner: Runner) -> None:
        _watch(runner.test_loop.dataloader)


def _watch(loader: Any) -> None:
    if not hasattr(loader.dataset, '__getitems__'):
        loader.dataset.__getitems__ = WatchedFetch(loader.dataset, loader.num_workers)
