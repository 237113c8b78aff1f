"""What ends a run from outside, or makes it go wrong, in one line of the user's terms."""

from __future__ import annotations

import errno
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from mmengine.dist import get_rank
from mmengine.runner import Runner

from ..engine import MemoryHook, explain_dead_worker, is_out_of_memory

#: How PyTorch raises again in the main process what a loader's worker has raised.
_BY_WORKER = re.compile(r'Caught (\w+) in DataLoader worker process \d+\.')
#: A frame of a traceback: the file, and the statement.
_FRAME = re.compile(r'^  File "(.+)", line \d+, in .+\n    (.+)$', re.MULTILINE)
#: How gloo begins, and what it adds to the first sentence.
_GLOO = re.compile(r'\[\S*gloo/\S+:\d+\] (.+?)(?:\. This is typically|$)', re.MULTILINE)
_PACKAGE = Path(__file__).resolve().parents[1]
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES)


@contextmanager
def explained(runner: Runner) -> Iterator[None]:
    """Say what became of a run that ends by an error inside, and what to do.

    Raises:
        ValueError: Instead of the error: no room for a file, a loader's worker that has died or
            has found fault with the data, no memory, or no connection to another process. Other
            errors pass as they are.
    """
    try:
        yield
    except (OSError, EOFError, RuntimeError, MemoryError, ValueError) as error:
        # The run ends here. PyTorch's handler would raise in the middle of what is said of it, for
        # each worker that ends meanwhile.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        said = explain_dead_worker(error, _loaders(runner))
        said = said or _found_by_worker(error)
        said = said or _no_room(error) or _out_of_memory(runner, error) or _no_connection(error)
        if said is None:
            raise
        raise ValueError(said) from error


def _loaders(runner: Runner) -> dict:
    """The loaders that have been built, by their keys in the config."""
    loops = {'train': runner._train_loop, 'val': runner._val_loop, 'test': runner._test_loop}
    return {f'{name}_dataloader': loop.dataloader for name, loop in loops.items()
            if hasattr(loop, 'dataloader')}


def _found_by_worker(error: BaseException) -> str | None:
    """The message of what this package raised in a worker, without the worker's traceback."""
    text = str(error)
    caught = _BY_WORKER.match(text)
    frames = _FRAME.findall(text)
    if not caught or not frames:
        return None
    file, statement = frames[-1]
    if not statement.startswith('raise') or _PACKAGE not in Path(file).resolve().parents:
        return None
    return text.rpartition(f'\n{caught[1]}: ')[2].strip() or None


def _no_room(error: BaseException) -> str | None:
    if not isinstance(error, OSError) or error.errno not in _NO_ROOM:
        return None
    return (f'{error}. Older checkpoints are whole: make room, or give another --work-dir, and go '
            'on with --resume')


def _out_of_memory(runner: Runner, error: BaseException) -> str | None:
    hook = next((hook for hook in runner.hooks if isinstance(hook, MemoryHook)), None)
    if hook is None or not is_out_of_memory(error):
        return None
    return hook.explain(runner, error)


def _no_connection(error: BaseException) -> str | None:
    """That another process is lost, with its address where the network layer tells it."""
    by_gloo = _GLOO.search(str(error)) if isinstance(error, RuntimeError) else None
    if by_gloo is None and not isinstance(error, torch.distributed.DistBackendError):
        return None
    told = by_gloo[1] if by_gloo else str(error).strip().splitlines()[0]
    return (f'process {get_rank()} has lost another process of the run ({told}): what ended that '
            'one stands in its own output. Go on with the same command and --resume')
