"""InPlaceABN over processes of unequal batches, against one process on the whole batch."""

import os

import pytest
import torch
import torch.distributed as dist

from tests.models.readbacks import Readbacks
from tests.ranks import in_ranks
from tresnet_mm.models.layers import InPlaceABN

SIZES = {2: [3, 2], 4: [2, 1, 1, 1]}  # of five images, by the number of processes
ACTIVATIONS = ('leaky_relu', 'identity')


def make_case(activation: str):
    torch.manual_seed(0)
    layer = InPlaceABN(4, activation=activation, activation_param=0.1, sync=True).double()
    with torch.no_grad():
        layer.weight.uniform_(-1.5, 1.5)
        layer.bias.normal_()
    return layer, torch.randn(5, 4, 3, 3, dtype=torch.double), torch.randn(5, 4, 3, 3).double()


def run(layer, x, factors):
    x = x.clone().requires_grad_()
    y = layer(x)
    (y * factors).sum().backward()
    return y.detach(), x.grad, layer.weight.grad, layer.bias.grad, layer.running_var


def shares():
    """In one of several processes: what comes of its images."""
    sizes = SIZES[dist.get_world_size()]
    start = sum(sizes[:dist.get_rank()])
    part = slice(start, start + sizes[dist.get_rank()])
    results = {}
    for activation in ACTIVATIONS:
        layer, x, factors = make_case(activation)
        with Readbacks('cpu') as reads:
            results[activation] = run(layer, x[part], factors[part])
        assert reads.ours == []  # a device would have been waited for
    return results


@pytest.fixture(scope='module')
def results(tmp_path_factory):
    return in_ranks('tests.models.layers.test_sync_inplace_abn:shares', tuple(SIZES),
                    tmp_path_factory.mktemp('ranks'))


@pytest.mark.reliability(
    done='synchronised ABN over two and four processes of unequal batches',
    happens='outputs, gradients and running statistics of one process on the whole batch')
@pytest.mark.skipif(not hasattr(os, 'fork'), reason='forks')
@pytest.mark.parametrize('world', SIZES)
def test_processes_equal_one(world, results):
    for activation in ACTIVATIONS:
        y, grad_x, grad_weight, grad_bias, running_var = run(*make_case(activation))
        parts = [rank[activation] for rank in results[world]]
        torch.testing.assert_close(torch.cat([part[0] for part in parts]), y)
        torch.testing.assert_close(torch.cat([part[1] for part in parts]), grad_x)
        torch.testing.assert_close(sum(part[2] for part in parts), grad_weight)
        torch.testing.assert_close(sum(part[3] for part in parts), grad_bias)
        for part in parts:
            torch.testing.assert_close(part[4], running_var)
