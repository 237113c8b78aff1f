"""Parts that are measured one after the other, each on its own: none ends the others."""
from __future__ import annotations

import gc
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..time_limit import OutOfTime, time_limit
from .settings import Settings

Row = dict[str, Any]


class Absent(Exception):
    """What a part needs is not here; says what."""


@dataclass(frozen=True)
class Part:
    """One thing to find out.

    Attributes:
        name: What it is called in the record.
        measure: Gives its rows. A correctness part's each have ``right``.
        seconds: What it takes on a GPU, about: it is not begun where less is left.
        correctness: Whether the call fails with it.
    """

    name: str
    measure: Callable[[Settings], list[Row]]
    seconds: float
    correctness: bool = False

    def run(self, settings: Settings, left: float) -> Row:
        """Measure, or say why not.

        Args:
            settings: The sizes.
            left: Seconds of the budget that are left.

        Returns:
            ``name``, ``kind`` ('correctness' or 'speed'), ``status``, ``seconds``, ``rows``, and
            ``reason`` where the status is not 'done'. A part is 'wrong' where a comparison does
            not hold, 'failed' with an error, 'absent' where it needs what is not here, and
            'dropped' where the budget does not reach.
        """
        start = time.perf_counter()
        status, reason, rows = 'done', None, []
        if left < (self.seconds if settings.on_gpu else 0) or left <= 0:
            status, reason = 'dropped', f'{max(left, 0):.0f} s of the budget were left'
        else:
            try:
                with time_limit(left):
                    rows = self.measure(settings)
                wrong = [row['what'] for row in rows if self.correctness and not row['right']]
                if wrong:
                    status, reason = 'wrong', '; '.join(wrong)
            except Absent as error:
                status, reason = 'absent', str(error)
            except OutOfTime:
                status, reason = 'dropped', f'not through in the {left:.0f} s that were left'
            except Exception as error:
                traceback.print_exc(file=sys.stdout)
                status, reason = 'failed', f'{type(error).__name__}: {error}'
        _release(settings)
        result = dict(name=self.name, kind='correctness' if self.correctness else 'speed',
                      status=status, seconds=round(time.perf_counter() - start, 1), rows=rows)
        return result if reason is None else {**result, 'reason': reason}


def run_parts(parts: Sequence[Part], settings: Settings, budget: float) -> Iterator[Row]:
    """The results of all parts in turn, none begun that ``budget`` (seconds) does not reach for."""
    end = time.perf_counter() + budget
    for part in parts:
        yield part.run(settings, end - time.perf_counter())


def all_right(results: Sequence[Row]) -> bool:
    """Whether no correctness part is wrong, failed or was dropped."""
    return all(result['status'] in ('done', 'absent') for result in results
               if result['kind'] == 'correctness')


def _release(settings: Settings) -> None:
    """Give the memory of a part back before the next one."""
    gc.collect()
    if settings.on_gpu:
        torch.cuda.empty_cache()
