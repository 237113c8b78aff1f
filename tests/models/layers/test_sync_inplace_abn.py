"""InPlaceABN over two processes of unequal batches, against one process on the whole batch."""

import os

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from tests.models.readbacks import Readbacks
from tresnet_mm.models.layers import InPlaceABN

SPLIT = 3  # images of the first of two processes; the second has the rest
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


def worker(rank: int, folder: str) -> None:
    dist.init_process_group('gloo', f'file://{folder}/store', rank=rank, world_size=2)
    part = slice(None, SPLIT) if rank == 0 else slice(SPLIT, None)
    results = {}
    for activation in ACTIVATIONS:
        layer, x, factors = make_case(activation)
        with Readbacks('cpu') as reads:
            results[activation] = run(layer, x[part], factors[part])
        assert reads.ours == []  # a device would have been waited for
    torch.save(results, f'{folder}/{rank}.pt')
    dist.barrier()
    # Without taking the group down, in which torch 2.1 may wait for its own threads for ever.
    os._exit(0)


def test_two_processes_equal_one(tmp_path):
    mp.spawn(worker, (str(tmp_path),), nprocs=2)
    parts = [torch.load(tmp_path / f'{rank}.pt', weights_only=True) for rank in range(2)]
    for activation in ACTIVATIONS:
        y, grad_x, grad_weight, grad_bias, running_var = run(*make_case(activation))
        first, second = parts[0][activation], parts[1][activation]
        torch.testing.assert_close(torch.cat([first[0], second[0]]), y)
        torch.testing.assert_close(torch.cat([first[1], second[1]]), grad_x)
        torch.testing.assert_close(first[2] + second[2], grad_weight)
        torch.testing.assert_close(first[3] + second[3], grad_bias)
        torch.testing.assert_close(first[4], running_var)
        torch.testing.assert_close(second[4], running_var)
