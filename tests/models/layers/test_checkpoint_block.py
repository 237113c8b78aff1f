"""Gradient checkpointing: the same gradients, and a batch's statistics counted once."""

import copy

import pytest
import torch
from torch import nn

from tresnet_mm.models.layers import InPlaceABN, checkpoint_block

NORMS = {
    'in-place': lambda: InPlaceABN(4),
    'batch norm': lambda: nn.BatchNorm2d(4),
    'without running statistics': lambda: nn.BatchNorm2d(4, track_running_stats=False),
}


@pytest.mark.parametrize('norm', NORMS)
def test_gradients_and_statistics_are_those_of_the_plain_block(norm):
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), NORMS[norm](), nn.Conv2d(4, 2, 3))
    block = copy.deepcopy(plain)
    x = torch.randn(2, 3, 8, 8, requires_grad=True)
    expected = torch.autograd.grad(plain(x).square().sum(), [x, *plain.parameters()])
    found = torch.autograd.grad(checkpoint_block(block, x).square().sum(), [x, *block.parameters()])
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(block.state_dict(), plain.state_dict())
    assert block[1].momentum == plain[1].momentum
