"""The course of a training run, from the scalars that mmengine's runner writes."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure


def read_scalars(file: str | Path) -> list[dict[str, Any]]:
    """The records of mmengine's ``vis_data/scalars.json``, one JSON object a line.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If a line is no JSON.
    """
    records = []
    for number, line in enumerate(Path(file).read_text().splitlines(), start=1):
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise ValueError(f'{file}, line {number} is no JSON: {error}') from error
    return records


def draw_training_curve(
    records: Sequence[dict[str, Any]], metrics: Sequence[str], out_file: str | Path
) -> None:
    """Draw the training loss and validation metrics over the epochs.

    Args:
        records: As `read_scalars` gives them, of a run by epochs.
        metrics: Keys of validation metrics, such as ``coco/bbox_mAP``.
        out_file: The picture, its format by its suffix.

    Raises:
        ValueError: If no record has a loss, or none has one of the metrics.
    """
    train = [r for r in records if 'loss' in r and 'iter' in r]
    if not train:
        raise ValueError('no training loss among the records')
    # the length of an epoch is not logged: the last record of an epoch comes closest to it
    epoch_length = max(r['iter'] / r['epoch'] for r in train)
    figure = Figure(figsize=(8, 4.5), layout='constrained')
    loss_axes = figure.subplots()
    loss_axes.plot([r['iter'] / epoch_length for r in train], [r['loss'] for r in train],
                   color='tab:grey', label='training loss')  # fmt: skip
    loss_axes.set(xlabel='epoch', ylabel='loss', xlim=(0, None), ylim=(0, None))
    metric_axes = loss_axes.twinx()
    for index, metric in enumerate(metrics):
        points = [(r['step'], r[metric]) for r in records if metric in r]
        if not points:
            raise ValueError(f'no {metric} among the records')
        metric_axes.plot(*zip(*points, strict=True), 'o-', color=f'C{index}', label=metric)
    best = max(r.get(metric, 0) for r in records for metric in metrics)
    # some metrics are shares, COCO's among them, others are in percent
    metric_axes.set(ylabel='validation', ylim=(0, 1 if best <= 1 else 100))
    figure.legend(loc='outside upper center', ncols=len(metrics) + 1)
    figure.savefig(out_file, dpi=120)
