"""Losses for labels that are hidden: playing cards, a small classifier, six losses.

Of the training part's entries (an image and a class) 0, 25 or 60 % are hidden, the same ones for
every loss and seed. The selective loss knows which entries are hidden. To the others a hidden entry
is a negative, as it is where only the labels that somebody has seen are written down; a row of its
own has the asymmetric loss leave hidden entries out. Tested on all labels of the test part, once,
after the last epoch.

Examples:
    python -m benchmarks.experiments.cards_losses --data path/to/images
    python -m benchmarks.experiments.cards_losses --table
"""
from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config

from ..markdown_table import markdown_table
from .command import experiment
from .small_backbones import use_backbone
from .small_sets import classes_of
from .trainings import Trainings, load_config, mean_and_spread

LONG_SIDE, EPOCHS, WIDTH = 160, 10, 0.25
HIDDEN = (0, 25, 60)
METRIC = 'multi-label/mAP'
#: the contender that `learning_curve` has its runs on all of the data from
WHOLE = 'asl_0'
#: row of the table, the loss's config, and whether it knows which entries are hidden
LOSSES = {
    'asl': ('ASL (4, 0, 0.05)', dict(
        type='AsymmetricLoss', gamma_neg=4, gamma_pos=0, clip=0.05, detach_weights=True), False),
    'bce': ('binary cross entropy', dict(
        type='AsymmetricLoss', gamma_neg=0, gamma_pos=0, clip=0), False),
    'focal': ('focal (2, 2)', dict(
        type='AsymmetricLoss', gamma_neg=2, gamma_pos=2, clip=0), False),
    'hill': ('Hill', dict(type='HillLoss'), False),
    'splc': ('SPLC', dict(type='SPLCLoss'), False),
    'selective': ('selective', dict(
        type='PartialAsymmetricLoss', mode='selective', likelihood_topk=1), True),
    'asl_known': ('ASL, hidden left out', dict(
        type='AsymmetricLoss', gamma_neg=4, gamma_pos=0, clip=0.05, detach_weights=True), True),
}


def write_labels(data: Path, hidden: int, known: bool) -> str:
    """Write the training part's labels with some hidden; the table's path below ``data``.

    Args:
        data: A data set of `small_sets`.
        hidden: Percent of the entries.
        known: Hidden entries are marked as unknown; otherwise they become negatives.
    """
    coco = json.loads((data / 'annotations/instances_train.json').read_text())
    images = sorted(coco['images'], key=lambda image: image['file_name'])
    rows = {image['id']: row for row, image in enumerate(images)}
    labels = np.zeros((len(images), len(coco['categories'])), dtype=int)
    for entry in coco['annotations']:
        labels[rows[entry['image_id']], entry['category_id'] - 1] = 1
    # what is hidden at a lower rate is hidden at a higher one, too
    order = np.random.default_rng(0).permutation(labels.size).reshape(labels.shape)
    labels[order < labels.size * hidden / 100] = -1 if known else 0
    name = f'annotations/labels_train_{hidden}_{"unknown" if known else "negative"}.csv'
    with open(data / name, 'w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['img_path', *classes_of(data)])
        writer.writerows([image['file_name'], *row]
                         for image, row in zip(images, labels.tolist(), strict=True))
    return name


def contenders(data: Path, epochs: int = EPOCHS, losses: Sequence[str] = tuple(LOSSES)
               ) -> dict[str, Config]:
    """A config of every loss at every share of hidden labels.

    Without hidden labels the two ways of the asymmetric loss are one.
    """
    configs = {}
    for hidden in HIDDEN:
        for loss in losses:
            if loss == 'asl_known' and not hidden:
                continue
            _, settings, known = LOSSES[loss]
            cfg = load_config('classifier', data, classes_of(data), epochs)
            use_backbone(cfg, 'tresnet')
            cfg.model.backbone.arch.width = WIDTH
            cfg.model.head.pop('in_channels')
            # summed over classes, averaged over images
            cfg.model.head.loss = dict(
                **settings, reduction='mean', loss_weight=len(classes_of(data)))
            cfg.train_dataloader.dataset.update(
                type='CustomMultiLabel', ann_file=write_labels(data, hidden, known))
            configs[f'{loss}_{hidden}'] = cfg
    return configs


def trainings(data: Path, seeds: Sequence[int], epochs: int = EPOCHS,
              losses: Sequence[str] = tuple(LOSSES), **where: Any) -> Trainings:
    """All runs of the experiment."""
    facts = dict(long_side=LONG_SIDE, epochs=epochs, width=WIDTH, hidden=HIDDEN)
    return Trainings('cards_losses', contenders(data, epochs, losses), seeds, facts=facts, **where)


def table(runs: Sequence[Mapping[str, Any]]) -> str:
    """Means and standard deviations of the mAP over the seeds, in percent."""
    return markdown_table([
        {'loss': name, **{f'{hidden} % hidden': mean_and_spread(runs, f'{loss}_{hidden}', METRIC)
                          for hidden in HIDDEN}}
        for loss, (name, *_) in LOSSES.items()])


if __name__ == '__main__':
    experiment('cards_losses', __doc__, trainings, table, LONG_SIDE)
