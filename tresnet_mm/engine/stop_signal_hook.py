"""Stopping a run by a signal without losing what it has done."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.dist import all_reduce, get_world_size
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ..checkpoint.saved_runs import stopped_name

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class TrainingStopped(Exception):
    """A run was stopped by a signal, and its state saved.

    Attributes:
        number: The signal.
    """

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.number = number


@HOOKS.register_module()
class StopSignalHook(Hook):
    """On SIGTERM or SIGINT, save a checkpoint after the iteration, say how to go on, and end.

    Slurm and Kubernetes send SIGTERM some seconds before they kill. The checkpoint is called
    ``epoch_E_iter_I.pth``, ``--resume`` goes on from it within its epoch, and the next ordinary
    checkpoint removes it. A second signal stops at once. A signal during validation saves nothing:
    the checkpoint before it is there, and a resumed run validates first.

    Args:
        interval: Several processes have to stop after the same iteration; they ask one another
            every so many.

    Raises:
        TrainingStopped: In the iteration, or the validation, in which the signal is seen.
    """

    priority = 'LOWEST'  # when schedules, averages and ordinary checkpoints are done

    def __init__(self, interval: int = 10) -> None:
        if interval < 1:
            raise ValueError(f'interval must be at least 1, got {interval}')
        self.interval = interval
        self.number = 0
        self._before: dict[int, Any] = {}
        self._process = os.getpid()
        self._training = False

    def before_train(self, runner: Runner) -> None:
        """Take the signals over that are not ignored, as under nohup; the main thread alone may."""
        self._training = True
        if threading.current_thread() is threading.main_thread():
            self._before = {
                number: signal.signal(number, self._on_signal) for number in _SIGNALS
                if signal.getsignal(number) is not signal.SIG_IGN}

    def after_train(self, runner: Runner) -> None:
        """Give the signals back."""
        self._training = False
        self._restore()

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None,
                         outputs: dict | None = None) -> None:
        """Save and end, if a signal has come."""
        if not self._is_asked(runner.iter + 1):
            return
        name = stopped_name(runner, runner.epoch, runner.iter + 1)
        runner.save_checkpoint(
            runner.work_dir, name, by_epoch=False,
            meta=dict(epoch=runner.epoch, iter=runner.iter + 1))
        self._stop(runner, f'after iteration {runner.iter + 1}, saved as '
                           f'{os.path.join(runner.work_dir, name)}')

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None,
                       outputs: Any = None) -> None:
        """End, if a signal has come in training's validation."""
        if self._training and self._is_asked(batch_idx + 1):
            self._stop(runner, 'during validation; the checkpoint before it is there')

    def _is_asked(self, count: int) -> bool:
        if get_world_size() == 1:
            return self.number != 0
        if count % self.interval:
            return False
        asked = torch.tensor(self.number, device=get_device())
        all_reduce(asked, op='max')
        self.number = int(asked)
        return self.number != 0

    def _stop(self, runner: Runner, where: str) -> None:
        self._restore()
        raise TrainingStopped(self.number, (
            f'stopped by {signal.Signals(self.number).name} {where}. Go on with the same command '
            f'and --resume (work dir {runner.work_dir})'))

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            # A loader's worker, which has inherited this. Ctrl-C reaches it too, and it is for the
            # main process to end it, which it does by SIGTERM.
            if number == signal.SIGTERM:
                os._exit(128 + number)
            return
        if self.number:
            self._restore()
            os.kill(self._process, number)
            return
        self.number = number
        name = signal.Signals(number).name
        os.write(2, f'{name}: saving after this iteration; once more stops at once\n'.encode())

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
