"""FCOS, RetinaNet and ATSS on blood cells, with a small TResNet and with a small ResNet.

The two backbones have equal multiply-adds; neck, width of the heads, schedule, augmentation and
seeds are the same for all. Tested once, after the last epoch.

Examples:
    python -m benchmarks.experiments.bccd --data path/to/BCCD_Dataset/BCCD
    python -m benchmarks.experiments.bccd --table
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..markdown_table import markdown_table
from .command import experiment
from .small_backbones import BACKBONES, NAMES, check_equal, costs, use_backbone
from .small_sets import classes_of
from .trainings import Trainings, load_config, mean_and_spread, seeds_of

DETECTORS = {'fcos': 'FCOS', 'retinanet': 'RetinaNet', 'atss': 'ATSS'}
LONG_SIDE, EPOCHS = 256, 12
METRICS = {'mAP': 'coco/bbox_mAP', 'at IoU 0.5': 'coco/bbox_mAP_50',
           'at IoU 0.75': 'coco/bbox_mAP_75'}


def contenders(data: Path, epochs: int = EPOCHS) -> dict[str, Config]:
    """A config of every detector with every backbone."""
    configs = {}
    for detector in DETECTORS:
        for backbone in BACKBONES:
            cfg = load_config(detector, data, classes_of(data), epochs)
            use_backbone(cfg, backbone)
            configs[f'{detector}_{backbone}'] = cfg
    return configs


def trainings(data: Path, seeds: Sequence[int], epochs: int = EPOCHS, **where: Any) -> Trainings:
    """All runs of the experiment."""
    found = costs(LONG_SIDE * 3 // 4, LONG_SIDE)
    check_equal(found)
    facts = dict(long_side=LONG_SIDE, epochs=epochs, backbones=found)
    return Trainings('bccd', contenders(data, epochs), seeds, facts=facts, **where)


def table(runs: Sequence[Mapping[str, Any]]) -> str:
    """Means and standard deviations over the seeds, in percent."""
    rows = []
    for detector, name in DETECTORS.items():
        for backbone in BACKBONES:
            contender = f'{detector}_{backbone}'
            rows.append({'detector': name, 'backbone': NAMES[backbone], **{
                title: mean_and_spread(runs, contender, metric, 100)
                for title, metric in METRICS.items()}, 'seeds': seeds_of(runs, contender)})
    return markdown_table(rows)


if __name__ == '__main__':
    experiment('bccd', __doc__, trainings, table, LONG_SIDE)
