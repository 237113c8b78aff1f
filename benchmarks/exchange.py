"""What data-parallel training exchanges a step, and a model of its time against measurement."""
from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch.distributed import all_reduce, barrier

from tresnet_mm.models.layers import InPlaceABN

from . import networks
from .scale import launch_processes
from .timing import MIB

#: Floats of the all-reduces that latency and bandwidth come from.
SIZES = (1, 1 << 16, 1 << 20, 1 << 23)


def run(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Rows of two and four processes; the constants are those of two."""
    model = networks.tresnet(args.arch)
    gradients = sum(4 * p.numel() for p in model.parameters() if p.requires_grad)
    norms = [module for module in model.modules() if isinstance(module, InPlaceABN)]
    # Forward: mean, mean of squares and count; backward: two sums. A channel each.
    statistics_ = sum(4 * (4 * norm.num_features + 1) for norm in norms)
    rounds = 2 if args.quick else args.rounds
    measured = {count: launch_processes('benchmarks.exchange', count, rounds, args.arch)
                for count in (2, 4)}
    small, large = (measured[2][f'reduce_{size}'] for size in (SIZES[0], SIZES[-1]))
    latency = small
    bandwidth = moved(2, 4 * SIZES[-1]) / (large - small)
    rows = [dict(sweep='exchanged a step', gradients_MiB=gradients / MIB,
                 statistics_KiB=statistics_ / 1024, norms=len(norms),
                 latency_ms=latency * 1e3, bandwidth_MiB_s=bandwidth / MIB)]
    for count, seconds in measured.items():
        slower = max(1.0, count / (os.cpu_count() or 1))  # gloo copies by the same cores
        for size in SIZES:
            rows.append(dict(
                sweep='all-reduce', processes=count, MiB=4 * size / MIB,
                predicted_ms=slower * (latency + moved(count, 4 * size) / bandwidth) * 1e3,
                measured_ms=seconds[f'reduce_{size}'] * 1e3))
        exchange = slower * (latency + moved(count, gradients) / bandwidth)
        rows.append(dict(
            sweep='step', processes=count, compute_ms=seconds['compute'] * 1e3,
            predicted_ms=(seconds['compute'] + exchange) * 1e3, measured_ms=seconds['step'] * 1e3))
    return rows


def moved(count: int, size: float) -> float:
    """Bytes that each of ``count`` processes sends to reduce ``size`` bytes in a ring."""
    return 2 * (count - 1) / count * size


def worker(rounds: int, arch: str, batch: int = 4) -> dict[str, float]:
    """Median seconds of one process of several: all-reduces, and steps with and without them."""
    torch.manual_seed(0)
    model = networks.tresnet(arch).train().to(memory_format=torch.channels_last)
    wrapped = torch.nn.parallel.DistributedDataParallel(model)
    x = torch.rand(batch, 3, 224, 224).to(memory_format=torch.channels_last)
    tensors = {f'reduce_{size}': torch.zeros(size) for size in SIZES}

    def step(exchanged: bool) -> None:
        with nullcontext() if exchanged else wrapped.no_sync():
            wrapped(x)[-1].mean().backward()

    cases: dict[str, Callable[[], Any]] = {
        name: lambda tensor=tensor: all_reduce(tensor) for name, tensor in tensors.items()}
    cases.update(compute=lambda: step(False), step=lambda: step(True))
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for turn in range(rounds + 1):
        for name, case in cases.items():
            model.zero_grad()
            barrier()
            start = time.perf_counter()
            case()
            if turn:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


if __name__ == '__main__':
    from .scale import print_result
    print_result(lambda: worker(int(sys.argv[1]), sys.argv[2]))
