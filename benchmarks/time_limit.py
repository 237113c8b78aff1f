"""A block of code that is broken off after a time."""
from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class OutOfTime(BaseException):
    """The time is over. Not an `Exception`: readers and compilers go on after those."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `OutOfTime` in the block after a time, where there are such signals."""
    if not hasattr(signal, 'SIGALRM'):
        yield
        return

    def stop(*_: Any) -> None:
        raise OutOfTime(f'no end after {seconds} s')

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
