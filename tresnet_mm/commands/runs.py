"""Training and testing as processes of their own, and what these leave behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from ..checkpoint.saved_runs import newest_whole

#: glibc gives the memory of large tensors back at once, and the system spends a fifth of the time
#: handing it out again.
SPEED = {'MALLOC_MMAP_MAX_': '0', 'MALLOC_TRIM_THRESHOLD_': '100000000000',
         'MALLOC_TOP_PAD_': '268435456'}


class RunError(Exception):
    """A run failed, or left nothing behind of what was expected."""


def train(config: str, work_dir: Path, cfg_options: Sequence[str] = (),
          quiet: bool = False) -> Path:
    """Train a config.

    Args:
        config: The config, as `tresnet-mm train` takes it.
        work_dir: Where the log and the checkpoints go.
        cfg_options: Changes to the config, each ``key=value``.
        quiet: Keep what it prints from the terminal; its log file has it all the same.

    Returns:
        The last checkpoint.

    Raises:
        RunError: The run failed or wrote no checkpoint.
    """
    _run('train', [config], work_dir, cfg_options, quiet)
    checkpoint = newest_whole(work_dir)
    if checkpoint is None:
        raise RunError(f'training ended without a checkpoint in {work_dir}')
    return checkpoint


def test(config: str, checkpoint: Path, work_dir: Path, cfg_options: Sequence[str] = (),
         out: Path | None = None, quiet: bool = False) -> dict[str, float]:
    """Evaluate a checkpoint; returns its metrics. ``out`` is the command's ``--out``.

    Raises:
        RunError: The run failed or wrote no metrics.
    """
    arguments = [config, str(checkpoint), *(['--out', str(out)] if out else [])]
    _run('test', arguments, work_dir, cfg_options, quiet)
    log_dir = last_log_dir(work_dir)
    file = log_dir / f'{log_dir.name}.json'
    if not file.is_file():
        raise RunError(f'testing ended without metrics: there is no {file}')
    return json.loads(file.read_text())


def metric(metrics: dict[str, float], key: str) -> float:
    """One of the metrics; RunError, naming those that there are, where it is missing."""
    if key not in metrics:
        raise RunError(f'no {key} among the metrics: {", ".join(metrics) or "there are none"}')
    return metrics[key]


def last_log_dir(work_dir: Path) -> Path:
    """The folder, named by its time, of the last run in a work dir."""
    runs = [folder for folder in work_dir.glob('*_*') if (folder / 'vis_data').is_dir()]
    if not runs:
        raise RunError(f'no run has left its log in {work_dir}')
    return max(runs, key=lambda folder: folder.name)


def scalars_file(work_dir: Path) -> Path:
    """The scalars that the last run in a work dir logged."""
    return last_log_dir(work_dir) / 'vis_data' / 'scalars.json'


def _run(name: str, arguments: Sequence[str], work_dir: Path, cfg_options: Sequence[str],
         quiet: bool) -> None:
    arguments = [name, *arguments, '--work-dir', str(work_dir)]
    if cfg_options:
        arguments += ['--cfg-options', *cfg_options]
    environment = {**SPEED, **os.environ}
    result = subprocess.run(
        [sys.executable, '-m', 'tresnet_mm', *arguments], env=environment, text=True,
        stdout=subprocess.PIPE if quiet else None, stderr=subprocess.STDOUT if quiet else None)
    if result.returncode:
        said = f':\n{result.stdout[-3000:]}' if quiet else ''
        command = ' '.join(['tresnet-mm', *arguments])
        raise RunError(f'{command} failed, exit status {result.returncode}{said}')
