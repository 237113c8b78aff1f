"""Which schedule a resumed run goes on with: its config's or its checkpoint's."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from typing import Any

from mmengine.hooks import Hook
from mmengine.optim import OptimWrapperDict
from mmengine.registry import HOOKS
from mmengine.runner import EpochBasedTrainLoop, Runner

#: What of a scheduler's state says where it stands; the rest are its settings.
_POSITION = ('last_step', '_global_step', '_last_value', 'verbose', 'anneal_func')


@HOOKS.register_module()
class ResumeScheduleHook(Hook):
    """Have a resumed run follow its config's schedule where that was changed, and say so.

    mmengine's runner restores everything that a scheduler holds, its settings too: a run that is
    resumed with more epochs goes on at the end of the old cycle, at a learning rate next to 0.
    Here a schedule (or a learning rate, or a batch size that it depends on) that differs from the
    checkpoint's is set to where the config's would be after as many epochs or iterations. The
    optimiser's moments are the checkpoint's in any case, and an unchanged schedule goes on as
    mmengine has it.

    Args:
        schedule: 'config', or 'checkpoint' to keep the checkpoint's and only say so.
    """

    priority = 'VERY_HIGH'

    def __init__(self, schedule: str = 'config') -> None:
        if schedule not in ('config', 'checkpoint'):
            raise ValueError(f"schedule must be 'config' or 'checkpoint', got {schedule!r}")
        self.schedule = schedule
        self._changed = False
        self._groups: list[dict[str, Any]] = []
        self._states: list[dict[str, Any]] = []

    def before_run(self, runner: Runner) -> None:
        """Keep the config's schedule and settings as they are before anything is loaded."""
        if not runner._resume or runner.param_schedulers is None:
            return
        self._groups = [{key: copy.copy(value) for key, value in group.items() if key != 'params'}
                        for group in _groups(runner)]
        self._states = [dict(scheduler.state_dict()) for scheduler in _schedulers(runner)]

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare the two schedules."""
        given = checkpoint.get('param_schedulers')
        if not self._states or given is None:
            return
        self._changed = [*map(_settings, _flat(given))] != [*map(_settings, self._states)]

    def before_train(self, runner: Runner) -> None:
        """Set the config's schedule to the step that the checkpoint reached."""
        if not self._changed:
            return
        if self.schedule == 'checkpoint':
            runner.logger.warning(
                "The schedule was changed since the checkpoint: the checkpoint's goes on, the "
                "config's is not used")
            return
        for group, kept in zip(_groups(runner), self._groups, strict=True):
            group.update(kept)
        for scheduler, state in zip(_schedulers(runner), self._states, strict=True):
            scheduler.load_state_dict(state)
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', UserWarning)  # steps without the optimiser's: meant
            self._advance(runner)
        rates = sorted({group['lr'] for group in _groups(runner)})
        runner.logger.warning(
            f"The schedule was changed since the checkpoint: the config's holds from epoch "
            f'{runner.epoch}, iteration {runner.iter}, at a learning rate of '
            f'{", ".join(f"{rate:.4g}" for rate in rates)}')

    @staticmethod
    def _advance(runner: Runner) -> None:
        """Step as mmengine's `ParamSchedulerHook` does, up to where the run stands."""
        schedulers = [s for s in _schedulers(runner) if not getattr(s, 'need_val_args', False)]
        by_iter = [scheduler for scheduler in schedulers if not scheduler.by_epoch]
        by_epoch = [scheduler for scheduler in schedulers if scheduler.by_epoch]
        epochs = runner.epoch if isinstance(runner.train_loop, EpochBasedTrainLoop) else 0
        iters = len(runner.train_dataloader) if epochs else runner.iter
        for _ in range(max(epochs, 1)):
            for _ in range(iters):
                for scheduler in by_iter:
                    scheduler.step()
            for scheduler in by_epoch if epochs else ():
                scheduler.step()


def _groups(runner: Runner) -> list[dict[str, Any]]:
    wrapper = runner.optim_wrapper
    wrappers = wrapper.values() if isinstance(wrapper, OptimWrapperDict) else [wrapper]
    return [group for one in wrappers for group in one.param_groups]


def _schedulers(runner: Runner) -> list[Any]:
    return _flat(runner.param_schedulers)


def _flat(node: Any) -> list[Any]:
    """Schedulers (or their states) of one optimiser or, by name, of several, as one list."""
    if isinstance(node, Mapping):
        return [item for items in node.values() for item in items]
    return list(node)


def _settings(state: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in state.items() if key not in _POSITION}
