"""``tresnet-mm replay``; of a whole run, tests/tools/test_stopped_runs.py."""

from math import inf, nan

import pytest
import torch
from mmengine.config import Config

from tresnet_mm.commands import replay
from tresnet_mm.commands.replay import _SoundStatisticsHook


def test_only_spoilt_running_statistics_are_replaced():
    before = {
        'a.running_mean': [nan, 2.], 'a.running_var': [3., inf], 'b.running_mean': [4., 5.],
        'b.running_var': [6., 7.], 'a.weight': [nan, 8.], 'a.num_batches_tracked': 9}
    after = {**before, 'a.running_mean': [0., 0.], 'a.running_var': [1., 1.]}
    for name in ('state_dict', 'ema_state_dict'):
        checkpoint = {name: {key: torch.tensor(value) for key, value in before.items()}}
        _SoundStatisticsHook().after_load_checkpoint(None, checkpoint)
        found = {key: value.tolist() for key, value in checkpoint[name].items()}
        assert repr(found) == repr(after)  # nan is not itself


@pytest.mark.parametrize('outputs, said', [
    (dict(loss=torch.tensor(1.5), loss_cls=0.25), 'loss: 1.5\nloss_cls: 0.25\n'), (None, '')])
def test_a_finite_step_ends_the_run_with_its_losses(outputs, said, tmp_path, monkeypatch, capsys):
    """A runner of one step, of which only the hooks are the command's own."""
    class OneStep:
        def __init__(self):
            self.hooks = []
            self.register_hook = self.hooks.append

        def train(self):
            self.hooks[-1].after_train_iter(self, 0, outputs=outputs)
            raise AssertionError('the run goes on')

    monkeypatch.setattr(replay.launch, 'load_config', lambda args: Config())
    monkeypatch.setattr(replay.Runner, 'from_cfg', lambda cfg: OneStep())
    (tmp_path / 'a.pth').touch()
    replay.main([str(tmp_path / 'a.pth'), '--config', 'a.py'])
    assert capsys.readouterr().out == said + 'the step is finite this time\n'


def test_the_config_of_a_run_lies_beside_its_checkpoints(tmp_path):
    with pytest.raises(FileNotFoundError, match=f'{tmp_path} has 0 config files'):
        replay.config_of(tmp_path / 'a.pth')
    (tmp_path / 'run.py').touch()
    assert replay.config_of(tmp_path / 'a.pth') == str(tmp_path / 'run.py')
