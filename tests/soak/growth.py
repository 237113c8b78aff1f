"""What a process and its children hold, and by how much it grows."""
from __future__ import annotations

import gc
import math
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil

#: What is held, in the order of the table in docs/soak.md.
MEMORY = ('main_bytes', 'workers_bytes')
COUNTS = ('files', 'shared', 'children')
_SHM = Path('/dev/shm')


class Sampler:
    """Looks every so many steps at what this process and its children hold.

    Garbage in circles is collected first: Python does so by itself when it is a quarter of all
    that is held, so that memory rises for long and falls at once.

    Args:
        every: Steps between two samples.
    """

    def __init__(self, every: int) -> None:
        self.every = every
        self.samples: list[dict[str, float]] = []
        self._spent = 0.

    def __call__(self, step: int) -> None:
        """Take a sample if it is time for one.

        A sample has ``step``; ``time``, seconds without those of sampling; ``main_bytes``, resident
        memory of this process; ``workers_bytes``, what the largest child has to itself (resident
        memory would count what it shares with its parent); ``files``, open file descriptors of this
        process; ``shared``, pieces of shared memory, mapped here or left as files; ``children``.
        """
        if step % self.every:
            return
        start = time.perf_counter()
        gc.collect()
        process = psutil.Process()
        children = process.children(recursive=True)
        self.samples.append(dict(
            step=step, time=start - self._spent, main_bytes=process.memory_info().rss,
            workers_bytes=max((_own_bytes(child) for child in children), default=0),
            files=process.num_fds(), shared=_mapped() + _left(process.pid),
            children=len(children)))
        self._spent += time.perf_counter() - start


def _own_bytes(process: psutil.Process) -> int:
    try:
        return process.memory_full_info().uss
    except psutil.Error:  # it has ended meanwhile
        return 0


def _mapped() -> int:
    """Number of this process's maps of shared memory; what is unlinked counts, too."""
    with open('/proc/self/maps') as maps:
        return sum(str(_SHM) in line for line in maps)


def _left(pid: int) -> int:
    """Number of the files of shared memory that torch has made under a process's number."""
    return sum(name.startswith(f'torch_{pid}_') for name in os.listdir(_SHM))


def slope(steps: np.ndarray, values: np.ndarray) -> float:
    """Growth a step over the last two thirds, by least squares.

    >>> slope(np.arange(9), np.array([50, 40, 9, 3, 5, 7, 9, 11, 13]))
    2.0
    """
    first = len(steps) // 3
    steps, values = steps[first:].astype(float), values[first:].astype(float)
    if len(steps) < 2:
        return math.nan
    return round(float(np.polyfit(steps - steps.mean(), values, 1)[0]), 6)


def summary(unit: str, limits: dict[str, int], samples: list[dict[str, float]]) -> dict[str, Any]:
    """What a run's samples come to.

    Args:
        unit: What a step is.
        limits: Most bytes by which memory may grow a step; what is not named has no limit.
        samples: As `sample` gives them.

    Returns:
        Lengths, growth, times; ``faults`` says what has grown by more than its limit: memory by
        more than its limit a step, the largest of a count over the last third beyond the largest
        over the one before it.
    """
    columns = {key: np.array([one[key] for one in samples]) for key in samples[0]}
    steps = columns['step']
    growth = {key: slope(steps, columns[key]) for key in MEMORY}
    faults = [f'{key} grows by {growth[key]:.0f} a step; the limit is {limit}'
              for key, limit in limits.items() if not growth[key] <= limit]
    counts = {}
    for key in COUNTS:
        third = len(steps) // 3
        before, last = (int(part.max(initial=0)) for part in
                        (columns[key][third:2 * third], columns[key][2 * third:]))
        counts[key] = [before, last]
        if last > before:
            faults.append(f'{key} grows from {before} to {last}')
    return dict(
        steps=int(steps[-1]), unit=unit, samples=len(samples),
        growth_bytes_a_step={key: round(value, 1) for key, value in growth.items()},
        limits_bytes_a_step=limits,
        first_mib={key: round(float(columns[key][len(steps) // 3]) / 2**20, 1) for key in MEMORY},
        last_mib={key: round(float(columns[key][-1]) / 2**20, 1) for key in MEMORY},
        **{f'most_{key}': value for key, value in counts.items()},
        milliseconds_a_step=_quarters(steps, columns['time']), faults=faults)


def _quarters(steps: np.ndarray, times: np.ndarray) -> list[float]:
    """Median milliseconds a step in each quarter."""
    each = 1000 * np.diff(times) / np.diff(steps)
    return [round(float(np.median(part)), 1) for part in np.array_split(each, 4) if len(part)]
