"""Which checkpoint of a work dir a run goes on from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from mmengine.dist import all_gather_object, broadcast_object_list, get_rank, is_main_process
from mmengine.logging import print_log
from mmengine.runner import Runner

from .files import read_file

#: mmengine's names, and that of a run which was stopped within an epoch.
_NAME = re.compile(r'(epoch|iter)_(\d+)(?:_iter_(\d+))?\.pth')


def stopped_name(runner: Runner, epoch: int, iters: int) -> str:
    """Name of a checkpoint that is saved out of turn, after so many epochs and iterations."""
    by_epoch = hasattr(runner.train_loop, 'run_epoch')
    return f'epoch_{epoch}_iter_{iters}.pth' if by_epoch else f'iter_{iters}.pth'


def is_checkpoint_name(name: object) -> bool:
    """Whether something is the bare name of a run's checkpoint, such as epoch_3.pth."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def is_stopped_name(path: Path, folder: str | Path) -> bool:
    """Whether a file is a run's own, saved in its folder when it was stopped within an epoch."""
    match = _NAME.fullmatch(path.name)
    return bool(match and match[3]) and path.resolve().parent == Path(folder).resolve()


def newest_whole(folder: str | Path) -> Path | None:
    """The checkpoint of a run that is furthest on, and whole.

    By the names, since times change when a folder is copied; ``last_checkpoint``, which mmengine
    trusts, may name a file that is not there, and not name one that is. A file that cannot be read
    is passed over, which is said in the log.

    Args:
        folder: The work dir.

    Returns:
        None where the run has saved nothing.
    """
    folder = Path(folder)
    found = [(match, path) for path in folder.glob('*.pth')
             if (match := _NAME.fullmatch(path.name))]
    named = _named(folder)
    if named is not None and named.is_dir():  # of FSDP's shards or DeepSpeed's; named when written
        return named
    elsewhere = named is not None and named not in [path for _, path in found]
    if named is not None and elsewhere and _is_whole(named):  # or of another name template
        return named
    for _, path in sorted(found, key=lambda item: _progress(item[0]), reverse=True):
        if _is_whole(path):
            return path
    return None


def agree_on_checkpoint(folder: str | Path) -> Path | None:
    """`newest_whole` of the main process, for all processes of a run.

    Raises:
        FileNotFoundError: In every process, if one of them does not see that file: its work dir
            is another disk's.
    """
    chosen: list[Path | None] = [newest_whole(folder) if is_main_process() else None]
    broadcast_object_list(chosen)
    path = chosen[0]
    missing = [rank for rank, there in enumerate(all_gather_object(
        path is None or path.exists())) if not there]
    if missing:
        raise FileNotFoundError(
            f'{path}, from which the run would go on, is not there for the processes '
            f'{", ".join(map(str, missing))}: all machines of a run need the same work dir, or a '
            'copy of it')
    return path


def require_same_start(epoch: int, iters: int) -> None:
    """See that all processes go on from the same place.

    Raises:
        ValueError: In every process, if they do not; names where each of them stands.
    """
    places: Sequence[tuple[int, int]] = all_gather_object((epoch, iters))
    if len(set(places)) > 1:
        stand = ', '.join(f'{rank}: epoch {epoch}, iteration {iters}'
                          for rank, (epoch, iters) in enumerate(places))
        raise ValueError(f'the processes would go on from different places ({stand}): their work '
                         f'dirs hold different checkpoints (this is process {get_rank()})')


def _progress(match: re.Match[str]) -> tuple[int, int]:
    return int(match[2]), int(match[3] or 0)


def _named(folder: Path) -> Path | None:
    """What mmengine's ``last_checkpoint`` names."""
    try:
        name = (folder / 'last_checkpoint').read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None
    return Path(name) if name and Path(name).exists() else None


def _is_whole(path: Path) -> bool:
    try:
        read_file(path)
    except (OSError, ValueError) as error:
        print_log(f'passed over: {error}', 'current', level=30)
        return False
    return True
