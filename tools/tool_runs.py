"""Runs ``tools/train.py`` and ``tools/test.py`` as a user would and finds what they leave."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from mmengine.runner import find_latest_checkpoint

ROOT = Path(__file__).resolve().parent.parent


#: glibc gives the memory of large tensors back at once, and the system spends a fifth of the time
#: handing it out again.
SPEED = {'MALLOC_MMAP_MAX_': '0', 'MALLOC_TRIM_THRESHOLD_': '100000000000',
         'MALLOC_TOP_PAD_': '268435456'}


class ToolError(Exception):
    """A tool failed, or left nothing behind of what was expected."""


def train(config: str, work_dir: Path, cfg_options: Sequence[str] = (),
          quiet: bool = False) -> Path:
    """Train a config.

    Args:
        config: The config file.
        work_dir: Where the log and the checkpoints go.
        cfg_options: Changes to the config, each ``key=value``.
        quiet: Keep what it prints from the terminal; its log file has it all the same.

    Returns:
        The last checkpoint.

    Raises:
        ToolError: The tool failed or wrote no checkpoint.
    """
    _run('train.py', [config], work_dir, cfg_options, quiet)
    checkpoint = find_latest_checkpoint(str(work_dir))
    if checkpoint is None:
        raise ToolError(f'training ended without a checkpoint in {work_dir}')
    return Path(checkpoint)


def test(config: str, checkpoint: Path, work_dir: Path, cfg_options: Sequence[str] = (),
         out: Path | None = None, quiet: bool = False) -> dict[str, float]:
    """Evaluate a checkpoint; returns its metrics. ``out`` is the tool's ``--out``.

    Raises:
        ToolError: The tool failed or wrote no metrics.
    """
    arguments = [config, str(checkpoint), *(['--out', str(out)] if out else [])]
    _run('test.py', arguments, work_dir, cfg_options, quiet)
    log_dir = last_log_dir(work_dir)
    file = log_dir / f'{log_dir.name}.json'
    if not file.is_file():
        raise ToolError(f'testing ended without metrics: there is no {file}')
    return json.loads(file.read_text())


def metric(metrics: dict[str, float], key: str) -> float:
    """One of the metrics; ToolError, naming those that there are, where it is missing."""
    if key not in metrics:
        raise ToolError(f'no {key} among the metrics: {", ".join(metrics) or "there are none"}')
    return metrics[key]


def last_log_dir(work_dir: Path) -> Path:
    """The folder, named by its time, of the last run in a work dir."""
    runs = [folder for folder in work_dir.glob('*_*') if (folder / 'vis_data').is_dir()]
    if not runs:
        raise ToolError(f'no run has left its log in {work_dir}')
    return max(runs, key=lambda folder: folder.name)


def scalars_file(work_dir: Path) -> Path:
    """The scalars that the last run in a work dir logged."""
    return last_log_dir(work_dir) / 'vis_data' / 'scalars.json'


def _run(tool: str, arguments: Sequence[str], work_dir: Path, cfg_options: Sequence[str],
         quiet: bool) -> None:
    command = [sys.executable, str(ROOT / 'tools' / tool), *arguments, '--work-dir', str(work_dir)]
    if cfg_options:
        command += ['--cfg-options', *cfg_options]
    environment = {**SPEED, **os.environ}
    result = subprocess.run(
        command, env=environment, text=True, stdout=subprocess.PIPE if quiet else None,
        stderr=subprocess.STDOUT if quiet else None)
    if result.returncode:
        said = f':\n{result.stdout[-3000:]}' if quiet else ''
        raise ToolError(f'{" ".join(command[1:])} failed, exit status {result.returncode}{said}')
