"""Losses, learning rates and metrics of one or several training runs, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from .training_curve import read_scalars

#: What is read from a run: the records that mmengine's runner logs, in the order of time.
Records = Sequence[Mapping[str, Any]]

_COLUMNS = 3


def read_run(path: str | Path) -> list[dict[str, Any]]:
    """The records of a run, put together where it was resumed.

    Each start of a run leaves a folder, named by its time, in the work dir. What an earlier start
    logged beyond the point from which a later one went on is left out, as it was trained again.

    Args:
        path: A work dir, one of the folders in it, or a ``scalars.json``.

    Raises:
        FileNotFoundError: If there is no such folder or no run has logged anything there.
        ValueError: If a file is no lines of JSON.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f'{path} does not exist')
    files = [path] if path.is_file() else sorted(
        [*path.glob('vis_data/scalars.json'), *path.glob('*/vis_data/scalars.json')])
    records: list[dict[str, Any]] = []
    for file in files:
        records = continued(records, read_scalars(file))
    if not records:
        raise FileNotFoundError(f'no training run has logged anything in {path}: no records with '
                                'an iteration in vis_data/scalars.json')
    return records


def continued(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The records of a run that was started again from one of its checkpoints, or anew."""
    first = next((record['iter'] for record in after if 'iter' in record), None)
    if first is None:  # it stopped before it logged anything, or only evaluated
        return before
    kept = len(before)
    for place, record in enumerate(before):
        if record.get('iter', 0) >= first:
            kept = place
            break
    return [*before[:kept], *after]


def by_epoch(records: Records) -> bool:
    """Whether a run counts epochs; if not, iterations."""
    return any('epoch' in record and 'iter' in record for record in records)


def points(records: Records, key: str) -> tuple[list[float], list[float]]:
    """Where (in epochs, or in iterations) and how large a logged number was.

    Args:
        records: As of `read_run`.
        key: ``loss``, ``lr``, ``coco/bbox_mAP``, ... What both training and validation log
            (``time``) is training's.
    """
    logged = [record for record in records if record.get(key) is not None]
    logged = [record for record in logged if 'iter' in record] or logged
    if not by_epoch(records):
        return ([record.get('iter', record['step']) for record in logged],
                [record[key] for record in logged])
    # The length of an epoch is not logged: the last record of an epoch comes closest to it.
    length = max(record['iter'] / record['epoch'] for record in records
                 if record.get('epoch') and 'iter' in record)
    return ([record['iter'] / length if 'iter' in record else record['step']
             for record in logged], [record[key] for record in logged])


def main_keys(runs: Mapping[str, Records]) -> list[str]:
    """What tells the most of some runs: loss, learning rate, and every mAP that one has."""
    keys = dict.fromkeys(key for records in runs.values() for record in records for key in record)
    metrics = [key for key in keys if key.rpartition('/')[2] in
               ('mAP', 'ema_mAP', 'bbox_mAP', 'ema_bbox_mAP', 'segm_mAP')]
    return [*(key for key in ('loss', 'lr') if key in keys), *metrics]


def draw_runs(runs: Mapping[str, Records], keys: Sequence[str], out_file: str | Path) -> None:
    """Draw a panel for each key, with a curve for each run.

    Args:
        runs: Name of each run and its records.
        keys: What to draw, see `points`.
        out_file: The picture, its format by its suffix.

    Raises:
        ValueError: If no run has one of the keys, some runs count epochs and some iterations, or
            the suffix is unknown.
    """
    if len({by_epoch(records) for records in runs.values()}) > 1:
        raise ValueError('some of the runs count epochs and some iterations: draw them apart')
    for key in keys:
        if not any(key in record for records in runs.values() for record in records):
            known = sorted({key for records in runs.values() for r in records for key in r})
            raise ValueError(f'no run has logged {key}; there are {", ".join(known)}')
    columns = min(_COLUMNS, len(keys))
    rows = -(-len(keys) // columns)
    figure = Figure(figsize=(4.5 * columns, 3.4 * rows + 0.4), layout='constrained')
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel, key in zip(panels, keys, strict=False):
        for index, records in enumerate(runs.values()):
            x, y = points(records, key)
            measured = any(key in record and 'iter' not in record for record in records)
            panel.plot(x, y, 'o-' if measured else '-', color=f'C{index % 10}', markersize=4,
                       linewidth=1.2)
        unit = 'epoch' if by_epoch(next(iter(runs.values()))) else 'iteration'
        panel.set(title=key, xlabel=unit, xlim=(0, None))
        panel.grid(alpha=0.3)
    for panel in panels[len(keys):]:
        panel.remove()
    figure.legend(panels[0].lines, list(runs), loc='outside upper center',
                  ncols=min(len(runs), columns))
    figure.savefig(out_file, dpi=120)
