"""What a signal does to a run, within one process; `tests/tools/test_killed_runs.py` kills some."""

import os
import signal
from types import SimpleNamespace

import pytest

from tresnet_mm.engine import StopSignalHook, stop_signal_hook
from tresnet_mm.engine.stop_signal_hook import TrainingStopped


class Runner(SimpleNamespace):
    """As far as the hook asks: a run by epochs, in the third of them."""

    def __init__(self, **more):
        super().__init__(epoch=2, iter=0, work_dir='work', saved=[], train_loop=SimpleNamespace(
            run_epoch=None), **more)

    def save_checkpoint(self, folder, name, **how):
        self.saved.append((folder, name, how))


@pytest.fixture
def received():
    """The signals that reach what was there before the hook; they do nothing else."""
    numbers, handler = [], lambda number, frame: numbers.append(number)
    before = {number: signal.signal(number, handler) for number in (signal.SIGTERM, signal.SIGINT)}
    yield numbers
    for number, previous in before.items():
        signal.signal(number, previous)


def test_the_first_signal_saves_and_the_second_goes_to_who_had_it(received, capfd):
    hook, runner = StopSignalHook(), Runner()
    hook.before_train(runner)
    hook.after_train_iter(runner, 0)
    assert runner.saved == []
    os.kill(os.getpid(), signal.SIGTERM)
    assert (hook.number, received) == (signal.SIGTERM, [])
    assert capfd.readouterr().err == (
        'SIGTERM: saving after this iteration; once more stops at once\n')
    os.kill(os.getpid(), signal.SIGINT)
    assert received == [signal.SIGINT]
    runner.iter = 7
    with pytest.raises(TrainingStopped, match=r'stopped by SIGTERM after iteration 8, saved as '
                       r'work/epoch_2_iter_8.pth. Go on with .* --resume') as stop:
        hook.after_train_iter(runner, 0)
    assert stop.value.number == signal.SIGTERM
    assert runner.saved == [('work', 'epoch_2_iter_8.pth', dict(
        by_epoch=False, meta=dict(epoch=2, iter=8)))]


def test_after_training_the_signals_are_given_back(received):
    hook = StopSignalHook()
    hook.before_train(Runner())
    hook.after_train(Runner())
    os.kill(os.getpid(), signal.SIGTERM)
    assert (hook.number, received) == (0, [signal.SIGTERM])


def test_an_ignored_signal_stays_ignored(received):
    """As SIGINT is in what a shell runs in the background."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    hook = StopSignalHook()
    hook.before_train(Runner())
    os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    assert (hook.number, received) == (0, [])
    hook.after_train(Runner())


@pytest.mark.parametrize('training', [True, False])
def test_validation_ends_without_saving(training, received):
    hook, runner = StopSignalHook(), Runner()
    if training:
        hook.before_train(runner)
    hook.number = signal.SIGINT
    if training:
        with pytest.raises(TrainingStopped, match='stopped by SIGINT during validation'):
            hook.after_val_iter(runner, 0)
    else:
        hook.after_val_iter(runner, 0)  # of tresnet-mm test, which the signal ends by itself
    assert runner.saved == []


def test_several_processes_ask_one_another_every_so_often(monkeypatch):
    """Another process has got the signal: all save after the same iteration."""
    asked = []

    def all_reduce(number, op):
        asked.append((int(number), op))
        number.fill_(signal.SIGTERM if len(asked) > 1 else 0)

    monkeypatch.setattr(stop_signal_hook, 'get_world_size', lambda: 2)
    monkeypatch.setattr(stop_signal_hook, 'all_reduce', all_reduce)
    hook, runner = StopSignalHook(interval=4), Runner()
    for runner.iter in range(7):
        hook.after_train_iter(runner, 0)
    assert asked == [(0, 'max')]
    runner.iter = 7
    with pytest.raises(TrainingStopped, match='stopped by SIGTERM after iteration 8'):
        hook.after_train_iter(runner, 0)
    assert [name for _, name, _ in runner.saved] == ['epoch_2_iter_8.pth']


def test_a_loaders_worker_ends_by_sigterm_alone(monkeypatch):
    """It has inherited the handler, and Ctrl-C reaches it as well as the main process."""
    ends = []
    monkeypatch.setattr(os, '_exit', ends.append)
    hook = StopSignalHook()
    hook._process = os.getpid() + 1
    hook._on_signal(signal.SIGINT, None)
    assert ends == []
    hook._on_signal(signal.SIGTERM, None)
    assert ends == [128 + signal.SIGTERM] and hook.number == 0


def test_an_interval_of_nothing():
    with pytest.raises(ValueError, match='interval must be at least 1, got 0'):
        StopSignalHook(interval=0)
