"""Measuring side by side: alternated timing, bytes saved for backward, peak memory."""
from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tresnet_mm._compat import event_start

MIB = 2**20


def synchronize() -> None:
    """Wait for the GPU's queued work; nothing to do where there is no GPU in use."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.synchronize()


def alternate(contenders: Mapping[str, Callable[[], Any]], rounds: int = 7, warmup: int = 2,
              clock: Callable[[], float] = time.perf_counter) -> dict[str, dict[str, float]]:
    """Time callables in turn, so that a drift of the machine meets all of them alike.

    Args:
        contenders: Name -> callable without arguments. The first is the reference of the ratios.
        rounds: Timed rounds; in each round every contender runs once, every other round backwards.
        warmup: Untimed rounds before.
        clock: Gives seconds; ``time.process_time`` where others use the machine and the
            contenders only compute, in one thread.

    Returns:
        ``{'median': {name: seconds}, 'ratio': {name: speed relative to the first contender},
        'spread': {name: interquartile range / median}}``. A ratio above 1 is faster than the
        reference; it is the median of the ratios within the rounds, not the ratio of medians.

    Raises:
        ValueError: If there is no contender or ``rounds`` is below 1.
    """
    if not contenders:
        raise ValueError('alternate() needs at least one contender')
    if rounds < 1:
        raise ValueError(f'rounds must be 1 or more, got {rounds}')
    names = list(contenders)
    for _ in range(warmup):
        for name in names:
            contenders[name]()
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for index in range(rounds):
        for name in (names if index % 2 == 0 else reversed(names)):
            synchronize()
            start = clock()
            contenders[name]()
            synchronize()
            seconds[name].append(clock() - start)
    reference = seconds[names[0]]
    return dict(
        median={name: statistics.median(times) for name, times in seconds.items()},
        ratio={name: statistics.median(r / t for r, t in zip(reference, times, strict=True))
               for name, times in seconds.items()},
        spread={name: _spread(times) for name, times in seconds.items()})


def _spread(times: Sequence[float]) -> float:
    """Interquartile range divided by the median; 0 for a single measurement."""
    if len(times) < 2:
        return 0.
    low, _, high = statistics.quantiles(times, n=4, method='inclusive')
    return (high - low) / statistics.median(times)


def saved_bytes(fn: Callable[[], Any], exclude: Iterable[Tensor] = ()) -> int:
    """Bytes that autograd keeps for backward while ``fn`` runs, exact on every device.

    Each storage counts once, however many operations or views saved it. Parameters (and views of
    them) do not count: they are kept anyway.

    Args:
        fn: Runs the forward; what it returns is kept until the count is done.
        exclude: Further tensors whose storage is not to be counted, e.g. buffers.
    """
    excluded = {tensor.untyped_storage().data_ptr() for tensor in exclude}
    storages: dict[int, int] = {}
    kept: list[Tensor] = []  # an address must not be handed out again while it is being counted

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if isinstance(tensor, nn.Parameter) or isinstance(tensor._base, nn.Parameter):
            excluded.add(storage.data_ptr())
        storages[storage.data_ptr()] = storage.nbytes()
        kept.append(tensor)
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = fn()
    total = sum(size for pointer, size in storages.items() if pointer not in excluded)
    del result
    return total


def peak_memory(fn: Callable[[], Any], device: str | torch.device = 'cpu') -> int:
    """Largest number of bytes allocated at once by ``fn``, beyond what was allocated before.

    On the GPU the caching allocator's own figure; on the CPU the running sum of PyTorch's
    allocations and releases as its profiler records them (memory taken outside PyTorch's
    allocator, such as oneDNN's scratch pads, is not seen).
    """
    gc.collect()
    if torch.device(device).type == 'cuda':
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        fn()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    from torch.profiler import ProfilerActivity, profile
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        result = fn()
        del result
    events = [event for event in profiler.profiler.kineto_results.events()
              if event.name() == '[memory]']
    current = peak = 0
    for event in sorted(events, key=event_start):
        current += event.nbytes()
        peak = max(peak, current)
    return peak


def available_memory() -> int:
    """Bytes of main memory that are free for use."""
    for line in Path('/proc/meminfo').read_text().splitlines():
        if line.startswith('MemAvailable'):
            return int(line.split()[1]) * 1024
    raise RuntimeError('/proc/meminfo does not name MemAvailable')
