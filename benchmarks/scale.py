"""Cost against batch size, image size, number of classes and number of processes."""
from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from mmengine.registry import MODELS

from . import models, networks, timing


def sweep(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Training cost of the backbone over batch sizes at 224 px and image sizes at batch 2."""
    model = networks.tresnet(args.arch)
    model = model.to(args.device).to(memory_format=torch.channels_last).train()
    cases = [('batch size', n, 224) for n in ((1, 4) if args.quick else (1, 2, 4, 8, 16))]
    cases += [('image size', 2, s) for s in ((128, 256) if args.quick else (224, 448, 640, 800))]
    rows = []
    for what, batch, size in cases:
        x = torch.rand(batch, 3, size, size, device=args.device)
        x = x.to(memory_format=torch.channels_last)
        step = partial(networks.train_step, model, x, args)
        times = timing.alternate({'step': step}, max(1, args.rounds // 2), warmup=1)
        saved = timing.saved_bytes(partial(networks.features, model, x, args), model.buffers())
        rows.append(dict(
            sweep=what, value=batch if what == 'batch size' else size, batch=batch, size=size,
            ms=times['median']['step'] * 1e3, images_per_s=batch / times['median']['step'],
            saved_MiB_per_image=saved / batch / timing.MIB))
    return rows


def classes(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Training cost of the multi-label heads with their loss over 80 to 9,600 classes."""
    feats = torch.randn(8, 2048, 7, 7, device=args.device)
    rows = []
    for kind in ('MultiLabelLinearHead', 'MLDecoderHead'):
        for count in (80, 1000) if args.quick else (80, 300, 1000, 3000, 9600):
            head = MODELS.build(dict(
                type=kind, num_classes=count, in_channels=2048)).to(args.device).train()
            samples = [s.to(args.device) for s in models.label_samples(8, count)]

            def step(head=head, samples=samples) -> None:
                head.zero_grad(set_to_none=True)
                x = feats.detach().requires_grad_()
                sum(head.loss((x,), samples).values()).backward()

            times = timing.alternate({'step': step}, max(1, args.rounds // 2), warmup=1)
            rows.append(dict(
                sweep=f'classes, {kind}', value=count, batch=8, ms=times['median']['step'] * 1e3,
                peak_MiB=timing.peak_memory(step, args.device) / timing.MIB))
    return rows


def processes(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Data-parallel training on the CPU: images/s of one and of two gloo processes, one core each.

    Efficiency is the speed of two over twice the speed of one; the runs alternate.
    """
    speeds: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(1 if args.quick else 3):
        for count in speeds:
            speeds[count].append(launch_processes(
                'benchmarks.scale', count, 2 if args.quick else 6, args.arch)['images_per_s'])
    medians = {count: statistics.median(values) for count, values in speeds.items()}
    return [dict(sweep='processes', value=count, images_per_s=speed,
                 efficiency=speed / (count * medians[1])) for count, speed in medians.items()]


def launch_processes(module: str, count: int, *arguments: object) -> dict[str, float]:
    """What rank 0 of ``count`` gloo processes of a module, with one core each, prints as JSON."""
    port = str(20000 + os.getpid() % 20000)
    env = dict(os.environ, OMP_NUM_THREADS='1', MASTER_ADDR='127.0.0.1', MASTER_PORT=port,
               WORLD_SIZE=str(count), PYTHONPATH=os.pathsep.join(sys.path))
    command = [sys.executable, '-m', module, *map(str, arguments)]
    workers = [subprocess.Popen(command, env=dict(env, RANK=str(rank)), text=True,
                                stdout=subprocess.PIPE if rank == 0 else subprocess.DEVNULL)
               for rank in range(count)]
    output, _ = workers[0].communicate()
    if any(worker.wait() for worker in workers):
        raise RuntimeError(f'data-parallel training with {count} processes failed')
    return json.loads(output.splitlines()[-1])


def print_result(measure: Callable[[], dict[str, float]]) -> None:
    """Measure in one of several processes; rank 0 prints."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo')
    result = measure()
    if torch.distributed.get_rank() == 0:
        print(json.dumps(result))
    torch.distributed.destroy_process_group()


def worker(steps: int, arch: str, batch: int = 4) -> dict[str, float]:
    """One data-parallel process: trains a TResNet; the images/s of all."""
    torch.manual_seed(0)
    model = networks.tresnet(arch).train()
    model = nn_parallel(model.to(memory_format=torch.channels_last))
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9)
    x = torch.rand(batch, 3, 224, 224).to(memory_format=torch.channels_last)
    seconds = []
    for _ in range(steps + 1):
        torch.distributed.barrier()
        start = time.perf_counter()
        optimizer.zero_grad()
        model(x)[-1].mean().backward()
        optimizer.step()
        seconds.append(time.perf_counter() - start)
    count = torch.distributed.get_world_size()
    return dict(images_per_s=count * batch / statistics.median(seconds[1:]))


def nn_parallel(model: torch.nn.Module) -> torch.nn.Module:
    """The model under PyTorch's data-parallel wrapper."""
    return torch.nn.parallel.DistributedDataParallel(model)


def run(args: argparse.Namespace) -> list[dict[str, Any]]:
    """All sweeps."""
    rows = sweep(args) + classes(args)
    return rows + processes(args) if args.device == 'cpu' else rows


if __name__ == '__main__':
    print_result(lambda: worker(int(sys.argv[1]), sys.argv[2]))
