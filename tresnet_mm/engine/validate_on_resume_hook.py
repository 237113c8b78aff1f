"""The validation that a killed run did not come to."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ..whole_file import write_text

_RECORD = 'last_validation.json'


@HOOKS.register_module()
class ValidateOnResumeHook(Hook):
    """Validate a checkpoint first where the run was stopped between saving and validating it.

    mmengine saves, then validates, and a resumed run starts with the next epoch: the weights of the
    epoch before are never evaluated, and where they were the last or the best, the run ends with
    others.
    """

    priority = 'LOWEST'

    def __init__(self) -> None:
        self._training = False

    def before_train(self, runner: Runner) -> None:
        """Make up for the validation; the last hook of all to be called, when all are ready."""
        self._training = True
        if runner._resume and self._is_due(runner) and self._last(runner) != runner.iter:
            runner.logger.info(
                f'Validating first: iteration {runner.iter} was saved and not validated')
            runner.val_loop.run()

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Note what was validated last."""
        if self._training and is_main_process():
            write_text(Path(runner.work_dir) / _RECORD, json.dumps(dict(iter=runner.iter)) + '\n')

    def after_train(self, runner: Runner) -> None:
        """Validation outside training is none of the run's."""
        self._training = False

    @staticmethod
    def _is_due(runner: Runner) -> bool:
        """Whether the loop validates at the end of the epoch or iteration that is done."""
        loop = runner.train_loop
        if runner.val_loop is None:
            return False
        by_epoch = hasattr(loop, 'run_epoch')
        if by_epoch and runner.iter != runner.epoch * len(loop.dataloader):
            return False  # stopped within an epoch
        done, last = (runner.epoch, runner.max_epochs) if by_epoch else (
            runner.iter, runner.max_iters)
        loop._decide_current_val_interval()
        return done >= loop.val_begin and (done % loop.val_interval == 0 or done == last)

    @staticmethod
    def _last(runner: Runner) -> int | None:
        """The iteration that was validated last, as the main process's folder has it."""
        found: list[int | None] = [None]
        if is_main_process():
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                found[0] = json.loads((Path(runner.work_dir) / _RECORD).read_text())['iter']
        broadcast_object_list(found)
        return found[0]
