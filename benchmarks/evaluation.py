"""Speed of evaluation: COCO's boxes with both of mmdet's evaluators, and the multi-label metric."""
from __future__ import annotations

import argparse
import logging
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmdet.evaluation import CocoMetric
from mmengine.fileio import dump
from mmengine.logging import MMLogger

from tresnet_mm._compat import faster_coco_metric
from tresnet_mm.evaluation import multilabel_scores

from . import timing

CLASSES = 80
SIDE = 640  # px
STATS = ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l',
         'AR@100', 'AR@300', 'AR@1000', 'AR_s@1000', 'AR_m@1000', 'AR_l@1000')


def random_boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    """Boxes (count, 4) as x, y, w, h inside the image, sides log-uniform from 8 to 320 px."""
    size = np.exp(rng.uniform(np.log(8), np.log(SIDE / 2), (count, 2)))
    return np.concatenate([rng.uniform(0, SIDE - size), size], 1)


def random_set(images: int, boxes: int, objects: int = 7,
               seed: int = 0) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A random COCO ground truth and predictions for it, of a middling detector's kind.

    A third of the objects are found, displaced by up to a fifth of their side; the other boxes are
    anywhere.

    Args:
        images: Number of images.
        boxes: Predicted boxes an image.
        objects: Ground-truth boxes an image, not more than ``boxes``.
        seed: Seed of the random numbers.

    Returns:
        The content of an annotation file, and one data sample (a dictionary) an image.
    """
    if objects > boxes:
        raise ValueError(f'objects ({objects}) should not be more than boxes ({boxes})')
    rng = np.random.default_rng(seed)
    truth: dict[str, Any] = dict(
        images=[dict(id=i, file_name=f'{i}.jpg', width=SIDE, height=SIDE) for i in range(images)],
        categories=[dict(id=k + 1, name=f'class {k}') for k in range(CLASSES)], annotations=[])
    samples = []
    for image in range(images):
        gt, labels = random_boxes(rng, objects), rng.integers(0, CLASSES, objects)
        for box, label in zip(gt, labels, strict=True):
            truth['annotations'].append(dict(
                id=len(truth['annotations']) + 1, image_id=image, category_id=int(label) + 1,
                bbox=box.tolist(), area=float(box[2] * box[3]), iscrowd=0))
        found, sides = random_boxes(rng, boxes), np.tile(gt[:, 2:], 2)
        predicted = rng.integers(0, CLASSES, boxes)
        hit = rng.random(objects) < 1 / 3
        found[:objects][hit] = (gt + rng.uniform(-0.2, 0.2, gt.shape) * sides)[hit]
        predicted[:objects][hit] = labels[hit]
        found[:, 2:] += found[:, :2]
        samples.append(dict(
            img_id=image, ori_shape=(SIDE, SIDE), pred_instances=dict(
                bboxes=torch.from_numpy(found).float(), labels=torch.from_numpy(predicted),
                scores=torch.from_numpy(rng.random(boxes)).float())))
    return truth, samples


def coco_evaluators(folder: str | Path, images: int, boxes: int) -> dict[str, Callable[[], dict]]:
    """Both evaluators, ready to run on the same random predictions.

    Args:
        folder: Where the annotation file is written.
        images: Number of images.
        boxes: Predicted boxes an image.

    Returns:
        Name -> function that evaluates and returns COCO's twelve numbers.
    """
    truth, samples = random_set(images, boxes)
    ann_file = str(Path(folder, 'truth.json'))
    dump(truth, ann_file)
    names = [category['name'] for category in truth['categories']]
    return {cls.__name__: _runner(cls, ann_file, names, samples) for cls in _metric_classes()}


def _metric_classes() -> list[type[CocoMetric]]:
    """Mmdet's evaluator and, where faster-coco-eval is installed, its compiled one."""
    try:
        import faster_coco_eval  # noqa: F401
    except ImportError:
        return [CocoMetric]
    return [CocoMetric, faster_coco_metric()]


def _runner(cls: type[CocoMetric], ann_file: str, names: list[str],
            samples: list[dict[str, Any]]) -> Callable[[], dict]:
    """A function that evaluates all samples with a metric class."""
    metric = cls(ann_file=ann_file, metric_items=list(STATS))
    metric.dataset_meta = dict(classes=names)

    def run() -> dict:
        logger = MMLogger.get_current_instance()
        level = logger.level
        logger.setLevel(logging.WARNING)  # the metric logs a table in each round
        try:
            metric.process({}, samples)
            return metric.evaluate(len(samples))
        finally:
            logger.setLevel(level)
    return run


def run_coco(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Time both evaluators on 5,000 images of 100 boxes (500 with ``--quick``).

    One round: it takes minutes at full size, long enough that short disturbances do not show.
    """
    images = 500 if args.quick else 5000
    with tempfile.TemporaryDirectory() as folder:
        contenders = coco_evaluators(folder, images, 100)
        times = timing.alternate(contenders, rounds=1, warmup=0)
    return [dict(what=f'COCO boxes, {images} images x 100', contender=name,
                 seconds=times['median'][name], ratio=times['ratio'][name])
            for name in contenders]


def run_multilabel(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Time the multi-label measures on as many images as COCO's val2014 (a tenth: ``--quick``)."""
    images = 4_014 if args.quick else 40_137
    rng = np.random.default_rng(0)
    targets = (rng.random((images, CLASSES)) < 0.036).astype(np.int8)  # COCO: 2.9 classes an image
    scores = (rng.random((images, CLASSES)) + 0.5 * targets).clip(0, 1).astype(np.float32)
    times = timing.alternate({'MultiLabelMetric': lambda: multilabel_scores(scores, targets)},
                             rounds=args.rounds, warmup=0)
    return [dict(what=f'multi-label, {images} x {CLASSES}', contender='MultiLabelMetric',
                 seconds=times['median']['MultiLabelMetric'], ratio=1.)]


def run(args: argparse.Namespace) -> list[dict[str, Any]]:
    """All rows of the subject ``evaluation``."""
    return run_coco(args) + run_multilabel(args)
