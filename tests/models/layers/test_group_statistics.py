"""The statistics of a group against those of all its values at once."""

import torch
import torch.distributed as dist

from tresnet_mm.models.layers.group_statistics import group_statistics


def mean_and_var(values):
    var, mean = torch.var_mean(values, [0, 2, 3], correction=0)
    return mean, var


def test_they_are_those_of_all_values(monkeypatch):
    own, other = torch.randn(2, 3, 4, 4) * 2 + 5, torch.randn(3, 3, 5, 2) - 1

    def all_gather(gathered, local, group):
        gathered[0].copy_(local)
        gathered[1].copy_(torch.cat([*mean_and_var(other), local.new_tensor([30])]))

    monkeypatch.setattr(dist, 'get_world_size', lambda group: 2)
    monkeypatch.setattr(dist, 'all_gather', all_gather)
    mean, var, count = group_statistics(*mean_and_var(own), 32, object())
    together = torch.cat([values.transpose(0, 1).flatten(1) for values in (own, other)], 1)
    expected_var, expected_mean = torch.var_mean(together, 1, correction=0)
    assert count == together.shape[1] == 62
    torch.testing.assert_close(mean, expected_mean)
    torch.testing.assert_close(var, expected_var)
