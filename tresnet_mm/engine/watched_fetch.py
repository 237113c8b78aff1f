"""Which item of a data set each worker of a loader is reading, for when one dies of it."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.utils.data import get_worker_info

_DIED = re.compile(r'DataLoader worker \(pid(?:\(s\))? ([\d, ]+)\)')
_SIGNAL = re.compile(r'killed by signal: ([\w ]+)')


class WatchedFetch:
    """A data set's ``__getitems__``, by which PyTorch's loaders fetch a batch.

    What a worker is reading stands in memory that it shares with the main process, and so outlives
    the worker.

    Args:
        dataset: The data set.
        num_workers: Of its loader.
        before_item: Called with an item's place before the item is read.
    """

    def __init__(self, dataset: Any, num_workers: int,
                 before_item: Callable[[int], None] | None = None) -> None:
        self.dataset = dataset
        self.before_item = before_item
        #: (num_workers, 2) int64: process and item, -1 where there is none
        self.reading = torch.full((num_workers, 2), -1, dtype=torch.int64).share_memory_()

    def __call__(self, indices: Sequence[int]) -> list[Any]:
        """Fetch the items."""
        worker = get_worker_info()
        row = None if worker is None else self.reading[worker.id]
        if row is not None:
            row[0] = os.getpid()
        items = []
        for index in indices:
            if row is not None:
                row[1] = index
            if self.before_item is not None:
                self.before_item(index)
            items.append(self.dataset[index])
        if row is not None:
            row[1] = -1
        return items


def explain_dead_worker(error: BaseException, loaders: dict[str, Any]) -> str | None:
    """What to say of an error by which PyTorch tells that a worker has died.

    Args:
        error: As it was raised.
        loaders: Loaders by their keys in the config, whose data sets are watched.

    Returns:
        One line with the file the worker was reading, where that is known; None for other errors.
    """
    dead = {int(pid) for pid in re.findall(r'\d+', _pids(error))}
    if not dead and not isinstance(error, (ConnectionError, EOFError)):
        return None
    for name, loader in loaders.items():
        fetch = getattr(loader.dataset, '__getitems__', None)
        if not isinstance(fetch, WatchedFetch):
            continue
        for pid, index in fetch.reading.tolist():
            # A worker that dies while it hands a batch over is told by its broken connection alone.
            if index >= 0 and (pid in dead or not dead and _has_ended(pid)):
                how = _how(error)
                return (f'a worker of {name} (process {pid}) {how} while it read '
                        f'{_file(loader.dataset, index)}. {_advice(how)}')
    if not dead:
        return None
    how = _how(error)
    return f'a worker of a data loader (process {_pids(error)}) {how}. {_advice(how)}'


def _pids(error: BaseException) -> str:
    died = _DIED.search(f'{error} {error.__cause__ or ""}')
    return died[1] if died else ''


def _how(error: BaseException) -> str:
    signal = _SIGNAL.search(f'{error} {error.__cause__ or ""}')
    return f'was killed by the signal "{signal[1].strip()}"' if signal else 'died'


def _has_ended(pid: int) -> bool:
    """Whether a child process has ended, or is about to; it stays to be waited for."""
    for _ in range(20):  # its connections close some time before it has ended
        try:
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                return True
        except ChildProcessError:  # somebody has waited for it
            return True
        time.sleep(0.05)
    return False


def _file(dataset: Any, index: int) -> str:
    try:
        return str(dataset.get_data_info(index)['img_path'])
    except Exception:  # of a data set without files, or one that mixes several items
        return f'item {index} of the data set'


def _advice(how: str) -> str:
    if 'Killed' in how:
        return ('So ends a process for which there is no memory: lower the num_workers or '
                'batch_size of the loader, or look whether the image is very large')
    if 'Bus error' in how:
        return ('So ends a process for which shared memory is full: enlarge /dev/shm (docker run '
                '--shm-size), or lower the num_workers or batch_size of the loader')
    return 'Look at the file; with num_workers=0 the error is seen where it happens'
