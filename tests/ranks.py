"""A function of the tests in several processes of gloo.

Started as a program, this imports the function's module once and forks the processes, so that four
of them cost little more than one.
"""

import importlib
import os
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parent.parent


def in_ranks(function: str, worlds: tuple[int, ...], folder: Path) -> dict[int, list[Any]]:
    """Call ``module:name`` in each process of worlds of some sizes.

    Args:
        function: Where it is; called without arguments, in a process group of gloo if there are
            several processes. Returns what `torch.save` writes as data.
        worlds: How many processes, one size after another.
        folder: For the results.

    Returns:
        By size, what each process returned.
    """
    done = subprocess.run(
        [sys.executable, '-m', 'tests.ranks', function, str(folder), *map(str, worlds)], cwd=ROOT,
        env=dict(os.environ, PYTHONPATH=str(ROOT)), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return {world: [torch.load(folder / f'{world}_{rank}.pt', weights_only=True)
                    for rank in range(world)] for world in worlds}


def _run(function: Any, folder: str, rank: int, world: int) -> None:
    if world > 1:
        torch.distributed.init_process_group(
            'gloo', f'file://{folder}/store_{world}', rank=rank, world_size=world)
    torch.manual_seed(0)
    torch.save(function(), f'{folder}/{world}_{rank}.pt')
    if world > 1:
        torch.distributed.barrier()


def main(function: str, folder: str, *worlds: str) -> int:
    module, name = function.split(':')
    called = getattr(importlib.import_module(module), name)
    status = 0
    for world in map(int, worlds):
        children = []
        for rank in range(world):
            child = os.fork()
            if not child:
                try:
                    _run(called, folder, rank, world)
                    ended = 0
                except BaseException:
                    traceback.print_exc()
                    sys.stderr.flush()
                    ended = 1
                # Without taking the group down, in which torch 2.1 may wait for ever.
                os._exit(ended)
            children.append(child)
        status |= max(os.waitpid(child, 0)[1] for child in children)
    return int(status != 0)


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
