"""Weights the classes of image-level heads by how rare they are in the training data."""

from collections import Counter
from typing import Any

import numpy as np
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ..models.heads import MultiLabelHead


@HOOKS.register_module()
class ClassWeightHook(Hook):
    """Give each class a weight by the effective number of its images (arXiv 1901.05555).

    A class that is present in n images of the training data has the weight

        (1 - beta) / (1 - beta ** n)

    of the paper, scaled so that the mean over the classes is 1. It weights all of the
    class's entries, positive and negative. At ``beta=0`` all classes weigh the same, towards 1
    their weights come near to 1 / n. A class without an image weighs as much as one with one. The
    weights are computed when training begins, resumed training too, and told in the log;
    checkpoints do not hold them, as prediction needs none.

    Args:
        beta: In [0, 1).

    Raises:
        ValueError: If beta is out of its range, or if, when training begins, the model has no
            `MultiLabelHead`, or a head fewer classes than the data.
    """

    def __init__(self, beta: float = 0.999) -> None:
        if not 0 <= beta < 1:
            raise ValueError(f'beta must be in [0, 1), got {beta}')
        self.beta = beta

    def before_train(self, runner: Runner) -> None:
        """Count, and set the weights of all image-level heads."""
        model: Any = runner.model.module if is_model_wrapper(runner.model) else runner.model
        heads = {name: part for name, part in model.named_modules()
                 if isinstance(part, MultiLabelHead)}
        if not heads:
            raise ValueError(f'ClassWeightHook: {type(model).__name__} has no multi-label head '
                             'whose classes could be weighted')
        for name, head in heads.items():
            kind = name.rpartition('image_heads.')[2] if 'image_heads.' in name else None
            counts = image_counts(runner.train_dataloader.dataset, kind)
            if counts and max(counts) >= head.num_classes:
                raise ValueError(f'ClassWeightHook: the training data have a class {max(counts)}, '
                                 f'the head has num_classes={head.num_classes}')
            found = [counts[index] for index in range(head.num_classes)]
            weights = effective_weights(found, self.beta)
            head.set_class_weight(weights.tolist())
            runner.logger.info(f'Class weights (beta {self.beta:g}): ' + ', '.join(
                f'{index}: {weight:.3g} ({count} images)'
                for index, (weight, count) in enumerate(zip(weights, found, strict=True))))


def effective_weights(counts: list[int], beta: float) -> np.ndarray:
    """Weights of the classes, of mean 1, from their numbers of images."""
    # expm1 and log1p: 1 - beta ** n keeps its digits where beta is near 1
    number = -np.expm1(np.maximum(counts, 1) * np.log1p(beta - 1)) if beta else np.ones(len(counts))
    weights = 1 / number
    return weights / weights.mean()


def image_counts(dataset: Any, kind: str | None = None) -> Counter[int]:
    """In how many images of a data set, or of a wrapper of some, each class is present.

    Reads the records of multi-label data sets and of mmdet's (boxes that are not to be ignored),
    or, for a named image head, their image labels of that ``kind``.
    """
    counts: Counter[int] = Counter()
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        if kind is not None:
            counts.update(info.get('image_labels', {}).get(kind, ([], []))[0])
            continue
        labels = info.get('gt_labels')
        if labels is None:
            labels = [one['bbox_label'] for one in info.get('instances', ())
                      if not one.get('ignore_flag')]
        counts.update(set(labels))
    return counts
