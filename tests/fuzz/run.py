"""Runs the cases of a kind, and says how it went."""
from __future__ import annotations

import gc
import resource
import time
import warnings
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from benchmarks.time_limit import time_limit
from tests.fuzz.kinds import PATIENCE, Kind


def run(kind: Kind, cases: int, first_seed: int = 0, batch: int = 1000) -> dict[str, Any]:
    """Check a number of cases, in batches since hypothesis remembers what it has tried.

    Args:
        kind: What to fuzz.
        cases: How many cases at least.
        first_seed: Seed of the first batch; the same seed gives the same cases.
        batch: Cases a batch.

    Returns:
        Counts of cases, usable and refused; seconds, the slowest case's, and by how many MiB the
        peak of the memory grew after the first hundred cases.

    Raises:
        Exception: What the first faulty case raised; hypothesis prints the smallest one it found.
    """
    counts = {True: 0, False: 0}
    slowest, start, base = 0.0, time.perf_counter(), 0

    def check(case: Any) -> None:
        nonlocal slowest, base
        begin = time.perf_counter()
        with time_limit(PATIENCE):
            counts[kind.check(case)] += 1
        slowest = max(slowest, time.perf_counter() - begin)
        if sum(counts.values()) == 100:
            base = _peak()

    done = 0
    gc.freeze()  # mmengine collects garbage at every dataset, which looks at all of torch each time
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        while done < cases:
            number = min(batch, cases - done)
            test = settings(
                max_examples=number, database=None, deadline=None,
                suppress_health_check=list(HealthCheck),
                phases=(Phase.generate, Phase.shrink))(given(kind.strategy)(check))
            seed(first_seed + done)(test)()
            done += number
    gc.unfreeze()
    return dict(
        cases=sum(counts.values()), usable=counts[True], refused=counts[False],
        seconds=round(time.perf_counter() - start, 1), slowest_seconds=round(slowest, 3),
        peak_growth_mib=round((_peak() - (base or _peak())) / 1024, 1))


def _peak() -> int:
    """Most memory of this process so far, in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
