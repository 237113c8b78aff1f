"""The norm's statistics over two processes of unequal batches, against one on the whole batch."""
from __future__ import annotations

import tempfile
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor

from tresnet_mm.models.layers import InPlaceABN

from .comparison import compared, relative_error
from .norms import unusable
from .parts import Absent, Row
from .settings import Settings

SHARES = (slice(0, 5), slice(5, 8))  # of eight images
NAMES = ('output', 'gradient of the input', 'gradient of the weight', 'gradient of the bias',
         'running variance')


def synchronised(settings: Settings) -> list[Row]:
    """Over NCCL on two GPUs; over gloo on a CPU."""
    if settings.on_gpu and torch.cuda.device_count() < 2:
        raise Absent('synchronised ABN over NCCL needs two GPUs, and there is one')
    channel = 'nccl' if settings.on_gpu else 'gloo'
    backends = ['torch']
    if settings.on_gpu and unusable('triton', settings, torch.float32) is None:
        backends.append('triton')
    rows = []
    for backend in backends:
        with tempfile.TemporaryDirectory() as folder:
            # A process that has used a GPU cannot be forked.
            mp.start_processes(_rank, (channel, backend, folder), nprocs=len(SHARES),
                               start_method='spawn' if settings.on_gpu else 'fork')
            parts = [torch.load(Path(folder) / f'{rank}.pt', weights_only=True)
                     for rank in range(len(SHARES))]
        found = [torch.cat([part[i] for part in parts]) for i in range(2)]
        found += [sum(part[i] for part in parts) for i in (2, 3)]
        found.append(parts[0][4])
        whole = _step(backend, slice(None), 'cuda' if settings.on_gpu else 'cpu')
        rows += [compared(f'{channel}, two processes, {backend}, {name}',
                          relative_error(a, b), 1e-5)
                 for name, a, b in zip(NAMES, found, whole, strict=True)]
    return rows


def _rank(rank: int, channel: str, backend: str, folder: str) -> None:
    """One process: what comes of its images."""
    torch.set_num_threads(1)
    device = 'cpu'
    if channel == 'nccl':
        torch.cuda.set_device(rank)
        device = f'cuda:{rank}'
    dist.init_process_group(
        channel, f'file://{folder}/store', rank=rank, world_size=len(SHARES))
    torch.save([t.cpu() for t in _step(backend, SHARES[rank], device)], f'{folder}/{rank}.pt')
    dist.barrier()
    dist.destroy_process_group()


def _step(backend: str, share: slice, device: str) -> tuple[Tensor, ...]:
    """Forward and backward on some of the images; synchronised inside a group of processes."""
    generator = torch.Generator().manual_seed(0)
    x, factors = (torch.randn(8, 16, 9, 7, generator=generator)[share].to(device)
                  for _ in range(2))
    layer = InPlaceABN(16, sync=True, backend=backend)
    with torch.no_grad():
        layer.weight.copy_(torch.linspace(-1.5, 1.5, 16))
        layer.bias.copy_(torch.linspace(-1, 1, 16))
    layer.to(device)
    y = layer(x.requires_grad_())
    y.backward(factors)
    return y.detach(), x.grad, layer.weight.grad, layer.bias.grad, layer.running_var
