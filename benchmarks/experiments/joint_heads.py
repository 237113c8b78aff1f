"""Playing cards: which image-level head a joint model needs, one seed for most trials.

The small TResNet under FCOS, as in ``cards``. Each trial changes the head, what it reads or its
loss's weight; all that a label's score may be comes from one test after the last epoch. In one
trial many heads learn side by side from features that they leave alone, so that one training
compares them.

Examples:
    python -m benchmarks.experiments.joint_heads --data path/to/images --seeds 0
    python -m benchmarks.experiments.joint_heads --table
"""
from __future__ import annotations

import csv
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..markdown_table import markdown_table
from .command import experiment
from .small_backbones import BACKBONES, NAMES, use_backbone
from .small_sets import classes_of
from .trainings import Trainings, load_config, mean_and_spread, seeds_of

LONG_SIDE, EPOCHS = 192, 10
MODULES = ['tresnet_mm', 'benchmarks.experiments.label_scores_metric',
           'benchmarks.experiments.trial_heads']
CHANNELS = BACKBONES['tresnet'][1]
ASL = dict(type='AsymmetricLoss', gamma_neg=4, gamma_pos=0, clip=0.05, detach_weights=True,
           reduction='mean', loss_weight=6)
BCE = dict(ASL, gamma_neg=0, clip=0)
#: what a `TrialHead` reads: the backbone's last maps, or all of the neck's
LAST = dict(in_channels=CHANNELS[-1], channels=CHANNELS[-1:])
NECK = dict(features='neck', in_channels=64, channels=[64] * 4)
DECODER = dict(type='TrialDecoder', embed_dims=128, feedforward_channels=256, detach=True)


def _detached(read: dict = LAST, **settings: Any) -> dict[str, Any]:
    return dict(type='TrialHead', detach=True, **{**read, **settings})


#: row of the table of heads that learn side by side, and the head
SIDE_BY_SIDE: dict[str, tuple[str, dict[str, Any]]] = {
    'mean': ('backbone: mean, linear', _detached()),
    'mean_bce': ('... with binary cross entropy, started at the prevalence',
                 _detached(loss=BCE, prior=0.28)),
    'max': ('backbone: maximum, linear', _detached(pooling='max')),
    'both': ('backbone: mean and maximum, linear', _detached(pooling='both')),
    'c4_both': ('... of the last two maps', _detached(channels=CHANNELS[-2:], pooling='both')),
    'c3_both': ('... of the last three maps', _detached(channels=CHANNELS[-3:], pooling='both')),
    'neck_mean': ('neck: mean, linear', _detached(NECK)),
    'neck_both': ('neck: mean and maximum, linear', _detached(NECK, pooling='both')),
    'neck_dense_max': ('neck: logits of cells, maximum', _detached(
        NECK, pooling='max', dense=True)),
    'neck_dense_lse': ('neck: logits of cells, log-mean-exp', _detached(
        NECK, pooling='lse', dense=True)),
    'neck_dense_lse_2': ('neck: two convolutions, logits of cells, log-mean-exp', _detached(
        NECK, pooling='lse', dense=True, convs=2)),
    'neck_dense_max_2': ('neck: two convolutions, logits of cells, maximum', _detached(
        NECK, pooling='max', dense=True, convs=2)),
    'neck_dense_max_2_bce': ('... with binary cross entropy, started at 0.01', _detached(
        NECK, pooling='max', dense=True, convs=2, loss=BCE, prior=0.01)),
    'neck_max_2': ('neck: two convolutions, maximum, linear', _detached(
        NECK, pooling='max', convs=2)),
    'decoder': ('backbone: ML-Decoder', dict(DECODER, in_channels=CHANNELS[-1])),
    'neck_decoder': ('neck: ML-Decoder on its second map', dict(
        DECODER, level=1, features='neck', in_channels=64)),
}


def _head(**settings: Any) -> dict[str, Any]:
    return dict(type='TrialHead', num_classes=6, loss=ASL, **settings)


#: row of the table and what it changes in the joint model with the linear head
TRIALS: dict[str, dict[str, Any]] = {
    'mean, linear; weight 0.1': {},
    'side by side': dict(image_heads={
        name: dict(num_classes=6, loss=ASL) | head for name, (_, head) in SIDE_BY_SIDE.items()}),
    'neck: two convolutions, log-mean-exp of the cells; weight 0.3': dict(
        image_loss_weight=0.3, image_head=_head(dense=True, **NECK, pooling='lse', convs=2)),
    'neck: two convolutions, maximum of the cells; weight 0.3': dict(
        image_loss_weight=0.3, image_head=_head(dense=True, **NECK, pooling='max', convs=2)),
    'mean and maximum, linear; weight 0.3': dict(
        image_loss_weight=0.3, image_head=_head(**LAST, pooling='both')),
}
#: the joint model of ``cards`` with another weight of its image head
LIGHT = 'MultiLabelDenseHead; weight 0.1'


def write_labels(data: Path, part: str, without: Collection[int] = ()) -> str:
    """Write the labels of a part, the classes of the boxes; the table's path below ``data``.

    Args:
        data: A data set of `small_sets`.
        part: 'train' or 'test'.
        without: Places in the annotation file of images that are not listed.
    """
    coco = json.loads((data / f'annotations/instances_{part}.json').read_text())
    found: dict[int, set[int]] = {image['id']: set() for image in coco['images']}
    for entry in coco['annotations']:
        found[entry['image_id']].add(entry['category_id'])
    name = f'annotations/own_{part}{"_part" if without else ""}.csv'
    with open(data / name, 'w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['img_path', *(category['name'] for category in coco['categories'])])
        writer.writerows(
            [image['file_name'], *(int(c['id'] in found[image['id']]) for c in coco['categories'])]
            for place, image in enumerate(coco['images']) if place not in without)
    return name


def contenders(data: Path, epochs: int = EPOCHS) -> dict[str, Config]:
    """A config of every trial."""
    configs = {}
    for name, changes in TRIALS.items():
        cfg = load_config('joint_linear', data, classes_of(data), epochs)
        use_backbone(cfg, 'tresnet')
        metric: dict[str, Any] = dict(type='LabelScoresMetric')
        if heads := list(changes.get('image_heads', ())):
            metric['fields'] = heads
            for part in ('train', 'test'):
                dataset = cfg[f'{part}_dataloader'].dataset
                dataset.metainfo.image_classes = dict.fromkeys(heads, classes_of(data))
                dataset.image_labels = dict.fromkeys(heads, write_labels(data, part))
        for key, value in changes.items():
            cfg.model[key] = value
        cfg.custom_imports.imports = MODULES
        cfg.test_evaluator = [*cfg.test_evaluator, metric]
        configs[name] = cfg
    for backbone in BACKBONES:
        cfg = load_config('joint', data, classes_of(data), epochs)
        use_backbone(cfg, backbone)
        cfg.model.image_loss_weight = 0.1
        configs[f'{LIGHT}, {NAMES[backbone]}'] = cfg
    return configs


def trainings(data: Path, seeds: Sequence[int], epochs: int = EPOCHS, **where: Any) -> Trainings:
    """All runs of the experiment."""
    facts = dict(long_side=LONG_SIDE, epochs=epochs)
    return Trainings('joint_heads', contenders(data, epochs), seeds, facts=facts, **where)


def table(runs: Sequence[Mapping[str, Any]]) -> str:
    """The trials, and the heads that learnt side by side, in percent."""
    columns = {'box mAP': ('coco/bbox_mAP', 100), 'labels by the head': ('labels/head', 1),
               'by the boxes': ('labels/boxes', 1), 'arithmetic mean': ('labels/mean', 1),
               'geometric mean': ('labels/geometric', 1)}
    names = [*TRIALS, *(f'{LIGHT}, {backbone}' for backbone in NAMES.values())]
    trials = [{'trial': name, **{column: mean_and_spread(runs, name, *metric)
                                 for column, metric in columns.items()},
               'seeds': seeds_of(runs, name)} for name in names]
    heads = [{'head': name, 'labels': mean_and_spread(runs, 'side by side', f'labels/head_{key}')}
             for key, (name, _) in SIDE_BY_SIDE.items()]
    return f'{markdown_table(trials)}\n\n{markdown_table(heads)}'


if __name__ == '__main__':
    experiment('joint_heads', __doc__, trainings, table, LONG_SIDE)
