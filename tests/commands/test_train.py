"""``tresnet-mm train``: how a run ends that is stopped, and where a runner loads early."""

from types import SimpleNamespace

import pytest
from mmengine.runner import FlexibleRunner

from tresnet_mm.commands import train
from tresnet_mm.engine import HostWatchHook
from tresnet_mm.engine.stop_signal_hook import TrainingStopped


def test_a_stopped_run_leaves_its_watch_and_says_how_it_ended(capsys):
    class Watch(HostWatchHook):
        def __init__(self):
            self.left = 0

        def leave(self):
            self.left += 1

    def stop():
        raise TrainingStopped(15, 'stopped by SIGTERM: a checkpoint is written')

    watch = Watch()
    runner = SimpleNamespace(hooks=[object(), watch], train=stop)
    with pytest.raises(SystemExit) as ended:
        train.run(runner)
    assert ended.value.code == 128 + 15 and watch.left == 1
    assert capsys.readouterr().err == 'train: stopped by SIGTERM: a checkpoint is written\n'


@pytest.mark.parametrize('flexible', [True, False])
def test_the_checkpoint_of_a_flexible_runner_is_chosen_before_it_trains(flexible, monkeypatch):
    """Of the others a hook chooses it, in time."""
    done = []
    kind = FlexibleRunner if flexible else object
    runner = type('OwnRunner', (kind,), dict(
        __init__=lambda self: None, train=lambda self: done.append('trained')))()
    monkeypatch.setattr(train, 'choose_checkpoint', lambda found: done.append('chosen'))
    train.run(runner)
    assert done == ['chosen'] * flexible + ['trained']
