"""Playing cards: a detector, a classifier and both in one, with a small TResNet or ResNet.

The backbones have equal multiply-adds; schedule, augmentation and seeds are the same for all six.
The joint model is the detector and the classifier on one backbone. Tested once, after the last
epoch.

Examples:
    python -m benchmarks.experiments.cards --data path/to/images
    python -m benchmarks.experiments.cards --table
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

MODELS = {'fcos': 'detector', 'classifier': 'classifier', 'joint': 'joint model'}
LONG_SIDE, EPOCHS = 192, 10
#: column, metric, and what makes percent of it
METRICS = {'box mAP': ('coco/bbox_mAP', 100), 'at IoU 0.5': ('coco/bbox_mAP_50', 100),
           'label mAP': ('multi-label/mAP', 1)}


def contenders(data: Path, epochs: int = EPOCHS) -> dict[str, Config]:
    """A config of every model with every backbone."""
    configs = {}
    for model in MODELS:
        for backbone in BACKBONES:
            cfg = load_config(model, data, classes_of(data), epochs)
            use_backbone(cfg, backbone)
            configs[f'{model}_{backbone}'] = cfg
    return configs


def trainings(data: Path, seeds: Sequence[int], epochs: int = EPOCHS, **where: Any) -> Trainings:
    """All runs of the experiment."""
    found = costs(LONG_SIDE, LONG_SIDE)
    check_equal(found)
    facts = dict(long_side=LONG_SIDE, epochs=epochs, backbones=found)
    return Trainings('cards', contenders(data, epochs), seeds, facts=facts, **where)


def table(runs: Sequence[Mapping[str, Any]]) -> str:
    """Means and standard deviations over the seeds, in percent."""
    rows = []
    for model, name in MODELS.items():
        for backbone in BACKBONES:
            contender = f'{model}_{backbone}'
            rows.append({'model': name, 'backbone': NAMES[backbone], **{
                title: mean_and_spread(runs, contender, metric, scale)
                for title, (metric, scale) in METRICS.items()}, 'seeds': seeds_of(runs, contender)})
    return markdown_table(rows)


if __name__ == '__main__':
    experiment('cards', __doc__, trainings, table, LONG_SIDE)
