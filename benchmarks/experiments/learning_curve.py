"""How far more photographs carry: FCOS with the small TResNet on a quarter, a half and all of BCCD.

Every part of the data is trained on for the same number of iterations, so a smaller part is seen
more often. A smaller part lies inside the larger ones. Tested on the whole test part. The runs on
all of the data are those of ``bccd``, which comes first.

Examples:
    python -m benchmarks.experiments.learning_curve --data path/to/BCCD_Dataset/BCCD
    python -m benchmarks.experiments.learning_curve --table
"""
from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..markdown_table import markdown_table
from .bccd import EPOCHS, LONG_SIDE, METRICS
from .command import experiment
from .small_backbones import use_backbone
from .small_sets import classes_of
from .trainings import (
    RESULTS,
    Trainings,
    check_equal_budgets,
    load_config,
    mean_and_spread,
    read_runs,
)

PARTS = (25, 50)


def write_part(data: Path, percent: int) -> str:
    """Write the annotations of a part of the training images; their path below ``data``.

    Which images come first is drawn once, for all parts.
    """
    coco = json.loads((data / 'annotations/instances_train.json').read_text())
    images = sorted(coco['images'], key=lambda image: image['file_name'])
    random.Random(0).shuffle(images)
    kept = {image['id'] for image in images[:round(len(images) * percent / 100)]}
    coco['images'] = [image for image in coco['images'] if image['id'] in kept]
    coco['annotations'] = [a for a in coco['annotations'] if a['image_id'] in kept]
    name = f'annotations/instances_train_{percent}.json'
    (data / name).write_text(json.dumps(coco))
    return name


def contenders(data: Path, epochs: int = EPOCHS) -> dict[str, Config]:
    """A config of every part: the whole data's number of iterations, whatever the part."""
    configs = {}
    for percent in PARTS:
        cfg = load_config('fcos', data, classes_of(data), epochs)
        use_backbone(cfg, 'tresnet')
        loader = cfg.train_dataloader
        images = len(json.loads((data / loader.dataset.ann_file).read_text())['images'])
        iterations = -(-images // loader.batch_size) * epochs
        loader.dataset.ann_file = write_part(data, percent)
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
    whole = [dict(run, contender='100 %') for run in read_runs(folder / 'bccd.json')
             if run['contender'] == 'fcos_tresnet' and run['seed'] in seeds]
    check_equal_budgets([*runs, *whole])
    return markdown_table([
        {'training images': f'{percent} %', **{
            title: mean_and_spread([*runs, *whole], f'{percent} %', metric, 100)
            for title, metric in METRICS.items()}}
        for percent in (*PARTS, 100)])


if __name__ == '__main__':
    experiment('learning_curve', __doc__, trainings, table, LONG_SIDE)
