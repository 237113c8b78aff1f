"""mmengine's checkpoints, of which there is always a whole one."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import patch

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ..checkpoint.saved_runs import (
    agree_on_checkpoint,
    is_checkpoint_name,
    is_stopped_name,
    require_same_start,
)

#: Where a checkpoint names those that are to be removed once it is whole.
_OUTDATED = 'outdated_checkpoints'


def choose_checkpoint(runner: Runner) -> None:
    """Have a run that resumes without naming a checkpoint go on from the newest whole one.

    Raises:
        FileNotFoundError: If a process does not see it.
    """
    if runner._resume and runner._load_from is None:
        path = agree_on_checkpoint(runner.work_dir)
        if path is None:
            runner.logger.warning(
                f'{runner.work_dir} has no checkpoint to go on from: the run starts anew')
            runner._resume = False
        else:
            runner._load_from = str(path)
            runner.logger.info(f'Going on from {path}')


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """mmengine's ``CheckpointHook``, without the moments at which a killed run is lost.

    mmengine removes the oldest checkpoint before it writes the new one: with ``max_keep_ckpts=1``,
    a run that is killed meanwhile has none. Here the old one goes when the new one is whole, and
    so do the best weights of before. A run that resumes without naming a checkpoint goes on from
    the newest that can be read, in all its processes from the same. While the package is imported
    the name ``CheckpointHook`` means this class, which takes the same arguments.

    Raises:
        FileNotFoundError, ValueError: When resuming, if the processes of a run do not see the
            same checkpoint.
    """

    def before_run(self, runner: Runner) -> None:
        """Choose what to resume from, before the runner asks ``last_checkpoint``."""
        choose_checkpoint(runner)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """See that a resumed run goes on from one place in all its processes."""
        if runner._resume:
            require_same_start(checkpoint['meta']['epoch'], checkpoint['meta']['iter'])

    def before_train(self, runner: Runner) -> None:
        """Forget what a run left that was stopped out of turn: the next checkpoint replaces it."""
        super().before_train(runner)
        self._stopped_at = Path(runner._load_from) if runner._resume and runner._load_from else None
        if runner._resume and is_main_process():
            # A run that was killed when its checkpoint was whole did not come to removing these.
            for name in runner.message_hub.get_info(_OUTDATED) or ():
                if is_checkpoint_name(name):  # the file may be a stranger's
                    self._remove(self.file_backend.join_path(self.out_dir, name))

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict[str, Any]) -> None:
        outdated = [*self._count(runner, step), *self._stopped()]
        runner.message_hub.update_info(_OUTDATED, outdated)
        # Without a number to keep, mmengine removes nothing.
        with patch.object(self, 'max_keep_ckpts', -1):
            super()._save_checkpoint_with_step(runner, step, meta)
        if is_main_process():
            for name in outdated:
                self._remove(self.file_backend.join_path(self.out_dir, name))

    def _count(self, runner: Runner, step: int) -> list[str]:
        """Note the new checkpoint among those to keep; returns names of those to remove after."""
        if self.max_keep_ckpts <= 0 or (self.keep_ckpt_ids and self.keep_ckpt_ids[-1] == step):
            return []
        outdated = []
        while len(self.keep_ckpt_ids) >= self.max_keep_ckpts:
            outdated.append(self.filename_tmpl.format(self.keep_ckpt_ids.popleft()))
        self.keep_ckpt_ids.append(step)
        runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        return outdated

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        """Let mmengine decide and save, and keep the former best until that is done."""
        if not self.save_best:
            return
        measured = {name.partition('/')[0] for name in metrics}
        unmeasured = [key for key in self.key_indicators if key and '/' in key
                      and key.partition('/')[0] not in measured]
        if unmeasured:  # mmdet's metric has no value where nothing is detected, as in first epochs
            runner.logger.warning(
                f'{", ".join(unmeasured)} was not measured in this validation (it has '
                f'{", ".join(metrics) or "nothing"}): the best checkpoint stays what it is')
            return
        before = self._best_paths()
        # mmengine removes what these name before it writes; without names it only writes.
        self._forget_best_paths()
        super()._save_best_checkpoint(runner, metrics)
        after = self._best_paths()
        for key, path in before.items():
            if after[key] is None:
                self._set_best_path(key, path)
            elif path is not None and path != after[key] and is_main_process():
                self._remove(path)

    def _best_paths(self) -> dict[str, str | None]:
        if len(self.key_indicators) == 1:
            return {'': self.best_ckpt_path}
        return dict(self.best_ckpt_path_dict)

    def _set_best_path(self, key: str, path: str | None) -> None:
        if key:
            self.best_ckpt_path_dict[key] = path
        else:
            self.best_ckpt_path = path

    def _forget_best_paths(self) -> None:
        for key in self._best_paths():
            self._set_best_path(key, None)

    def _stopped(self) -> list[str]:
        """Name of what the run had left when it was stopped out of turn, once."""
        stopped, self._stopped_at = self._stopped_at, None
        if stopped is not None and is_stopped_name(stopped, self.out_dir):
            return [stopped.name]
        return []

    def _remove(self, path: str) -> None:
        if self.file_backend.isfile(path):
            self.file_backend.remove(path)
        elif self.file_backend.isdir(path):  # DeepSpeed saves folders
            self.file_backend.rmtree(path)
