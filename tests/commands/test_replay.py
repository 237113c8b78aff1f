"""``tresnet-mm replay``; of a whole run, tests/tools/test_stopped_runs.py."""

from math import inf, nan

import torch

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
