"""How far more photographs carry: labels of playing cards from a quarter, a half and all of them.

The classifier and the asymmetric loss of ``cards_losses``, all labels known, whose runs are those
on all of the data: that experiment comes first. Every part of the data is trained on for the same
number of iterations, so a smaller part is seen more often; it lies inside the larger ones. Tested
on the whole test part.

Examples:
    python -m benchmarks.experiments.learning_curve --data path/to/images
    python -m benchmarks.experiments.learning_curve --table
"""
from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..markdown_table import markdown_table
from .cards_losses import EPOCHS, LONG_SIDE, METRIC, WHOLE
from .cards_losses import contenders as with_losses
from .command import experiment
from .trainings import (
    RESULTS,
    Trainings,
    check_equal_budgets,
    mean_and_spread,
    read_runs,
)

PARTS = (25, 50)


def write_part(data: Path, labels: str, percent: int) -> str:
    """Write a part of a table of labels; its path below ``data``.

    Which images come first is drawn once, for all parts.
    """
    head, *rows = (data / labels).read_text().splitlines()
    random.Random(0).shuffle(rows)
    name = f'annotations/labels_train_part_{percent}.csv'
    kept = sorted(rows[:round(len(rows) * percent / 100)])
    (data / name).write_text('\n'.join([head, *kept]) + '\n')
    return name


def contenders(data: Path, epochs: int = EPOCHS) -> dict[str, Config]:
    """A config of every part: the whole data's number of iterations, whatever the part."""
    configs = {}
    for percent in PARTS:
        cfg = with_losses(data, epochs, ['asl'])[WHOLE]
        loader = cfg.train_dataloader
        labels = loader.dataset.ann_file
        images = len((data / labels).read_text().splitlines()) - 1
        iterations = -(-images // loader.batch_size) * epochs
        loader.dataset.ann_file = write_part(data, labels, percent)
        cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=iterations)
        cfg.param_scheduler = [
            dict(type='OneCycleFromLR', total_steps=iterations, by_epoch=False)]
        configs[f'{percent} %'] = cfg
    return configs


def trainings(data: Path, seeds: Sequence[int], epochs: int = EPOCHS, **where: Any) -> Trainings:
    """The runs on parts of the data."""
    facts = dict(long_side=LONG_SIDE, epochs_of_all=epochs)
    return Trainings('learning_curve', contenders(data, epochs), seeds, facts=facts, **where)


def table(runs: Sequence[Mapping[str, Any]], folder: Path = RESULTS) -> str:
    """Means and standard deviations over the seeds, in percent."""
    seeds = {run['seed'] for run in runs}
    whole = [dict(run, contender='100 %') for run in read_runs(folder / 'cards_losses.json')
             if run['contender'] == WHOLE and run['seed'] in seeds]
    check_equal_budgets([*runs, *whole])
    return markdown_table([
        {'training images': f'{percent} %',
         'label mAP': mean_and_spread([*runs, *whole], f'{percent} %', METRIC)}
        for percent in (*PARTS, 100)])


if __name__ == '__main__':
    experiment('learning_curve', __doc__, trainings, table, LONG_SIDE)
