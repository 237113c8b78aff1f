"""Playing cards annotated in part: a joint model on all of them, single models on their share.

Of the training images a quarter has no boxes and another quarter no labels, drawn once. The joint
model sees all images, the detector those with boxes, the classifier those with labels, for the same
number of iterations. The small TResNet, as in ``cards``; tested once, on the whole test part.

Examples:
    python -m benchmarks.experiments.cards_partly --data path/to/images
    python -m benchmarks.experiments.cards_partly --table
"""
from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..markdown_table import markdown_table
from .command import experiment
from .joint_heads import EPOCHS, LONG_SIDE, write_labels
from .small_backbones import use_backbone
from .small_sets import classes_of
from .trainings import Trainings, load_config, mean_and_spread, seeds_of

HEAD = 'cards'
#: contender, row of the table and its training images
CONTENDERS = {'detector': ('detector', '75 %, those with boxes'),
              'classifier': ('classifier', '75 %, those with labels'),
              'joint': ('joint model', '100 %, half of them with both')}
COLUMNS = {'box mAP': ('coco/bbox_mAP', 100), 'at IoU 0.5': ('coco/bbox_mAP_50', 100),
           'label mAP': (f'{HEAD}/mAP', 1), 'by the boxes': ('labels/boxes', 1),
           'mean of both': ('labels/mean', 1)}


def lacking(images: int) -> tuple[set[int], set[int]]:
    """Which places of the list of images have no boxes, and which no labels; a quarter each."""
    places = list(range(images))
    random.Random(0).shuffle(places)
    quarter = images // 4
    return set(places[:quarter]), set(places[quarter:2 * quarter])


def write_boxes(data: Path, without: set[int], keep_images: bool) -> str:
    """Write the training part's annotations without some images' boxes; the path below ``data``.

    Args:
        data: A data set of `small_sets`.
        without: Places of the images that lose their boxes.
        keep_images: Whether these images stay in the list.
    """
    coco = json.loads((data / 'annotations/instances_train.json').read_text())
    lost = {coco['images'][place]['id'] for place in without}
    coco['annotations'] = [a for a in coco['annotations'] if a['image_id'] not in lost]
    if not keep_images:
        coco['images'] = [image for image in coco['images'] if image['id'] not in lost]
    name = f'annotations/boxes_train_{"some" if keep_images else "part"}.json'
    (data / name).write_text(json.dumps(coco))
    return name


def contenders(data: Path, epochs: int = EPOCHS) -> dict[str, Config]:
    """A config of each model, with the iterations that all images have."""
    classes = classes_of(data)
    images = len(json.loads((data / 'annotations/instances_train.json').read_text())['images'])
    no_boxes, no_labels = lacking(images)
    labels = write_labels(data, 'train', no_labels)
    configs = {}
    for name, config in dict(detector='fcos', classifier='classifier', joint='joint').items():
        cfg = configs[name] = load_config(config, data, classes, epochs)
        use_backbone(cfg, 'tresnet')
        iterations = -(-images // cfg.train_dataloader.batch_size) * epochs
        cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=iterations)
        cfg.param_scheduler = [
            dict(type='OneCycleFromLR', total_steps=iterations, by_epoch=False)]
    configs['detector'].train_dataloader.dataset.ann_file = write_boxes(data, no_boxes, False)
    configs['classifier'].train_dataloader.dataset.update(
        type='CustomMultiLabel', ann_file=labels)
    joint = configs['joint']
    joint.train_dataloader.dataset.update(
        ann_file=write_boxes(data, no_boxes, True), boxes='some', image_labels={HEAD: labels})
    joint.test_dataloader.dataset.image_labels = {HEAD: write_labels(data, 'test')}
    for loader in (joint.train_dataloader, joint.test_dataloader):
        loader.dataset.metainfo.image_classes = {HEAD: classes}
    joint.model.image_heads = {HEAD: joint.model.pop('image_head')}
    joint.test_evaluator = [joint.test_evaluator[0], dict(type='MultiLabelMetric', field=HEAD),
                            dict(type='LabelScoresMetric', field=HEAD)]
    configs['classifier'].test_evaluator = dict(type='MultiLabelMetric', prefix=HEAD)
    return configs


def trainings(data: Path, seeds: Sequence[int], epochs: int = EPOCHS, **where: Any) -> Trainings:
    """All runs of the experiment."""
    facts = dict(long_side=LONG_SIDE, epochs=epochs)
    return Trainings('cards_partly', contenders(data, epochs), seeds, facts=facts, **where)


def table(runs: Sequence[Mapping[str, Any]]) -> str:
    """Means and standard deviations over the seeds, in percent."""
    return markdown_table([
        {'model': name, 'training images': part,
         **{column: mean_and_spread(runs, contender, *metric)
            for column, metric in COLUMNS.items()},
         'seeds': seeds_of(runs, contender)}
        for contender, (name, part) in CONTENDERS.items()])


if __name__ == '__main__':
    experiment('cards_partly', __doc__, trainings, table, LONG_SIDE)
