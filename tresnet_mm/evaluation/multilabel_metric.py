"""The metric of multi-label classification, as mmengine's evaluators call it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmengine.registry import METRICS

from ..thresholds import Thresholds, load_thresholds
from .multilabel_scores import (
    EmptyClasses,
    average_precision,
    class_table,
    multilabel_scores,
    precision_recall_f1,
)
from .reliability import reliability
from .sample_field import field_classes, labelled, read_field

#: What mmpretrain's samples call the scores and the vector of targets.
MMPRETRAIN_NAMES = dict(pred_scores='pred_score', gt_labels='gt_score')

#: What the name of a class's AP begins with, after the metric's prefix.
_OF_CLASS = 'AP/'

#: What is kept of every image: scores, targets and its name.
_PLAIN = 3


@METRICS.register_module()
class MultiLabelMetric(BaseMetric):
    """Multi-label measures of a data set, see `multilabel_scores`.

    Keeps the scores (float32) and targets (int8) of each image, nothing else. In a distributed
    run the images a sampler adds to even out the ranks are dropped again, so the result is that of
    one process.

    Of a model with a calibrated checkpoint (whose samples have ``raw_scores``) there are more:
    ``ECE``, the expected calibration error of all classes together in percent; ``ECE_uncalibrated``
    and the names of `precision_recall_f1` with ``_uncalibrated``, of the raw scores and at the same
    ``thresholds``; and these with ``_fitted``, of the labels that the model predicts by the
    checkpoint's own thresholds, where it has them. mAP is the same with and without.

    Args:
        thresholds: As in `multilabel_scores`.
        top_k: As in `multilabel_scores`.
        empty_classes: What happens to classes without positives: 'skip' leaves them out and
            says so in the log, 'zero' counts their AP, precision and recall as 0.
        skip_unlabelled: Leave images without any positive out, as the COCO protocol does; for
            data sets that keep them, such as mmdet's.
        classwise: Print a table of each class's AP, thresholded precision and recall.
        class_scalars: Also give the AP of each class that has positives, as
            ``multi-label_AP/CLASS``: a group of its own in TensorBoard, which groups by what comes
            before the slash.
        field: Name of an image head (`MultiTaskDetector`'s ``image_heads``) that is measured, of
            the images that have labels of its kind; its classes are
            ``metainfo['image_classes'][field]``. None for the labels of the sample itself.
        collect_device: See ``BaseMetric``.
        prefix: See ``BaseMetric``; with a ``field`` that by default.
        collect_dir: See ``BaseMetric``.

    Examples:
        >>> import torch
        >>> from tresnet_mm.evaluation import MultiLabelMetric
        >>> metric = MultiLabelMetric(classwise=False, top_k=None)
        >>> metric.dataset_meta = dict(classes=('cat', 'dog'))
        >>> metric.process({}, [
        ...     dict(pred_scores=torch.tensor([0.9, 0.2]), gt_labels=torch.tensor([1, 0])),
        ...     dict(pred_scores=torch.tensor([0.3, 0.4]), gt_labels=torch.tensor([0, 1]))])
        >>> result = metric.evaluate(size=2)
        >>> result['multi-label/mAP'], result['multi-label/OR']
        (100.0, 50.0)
    """

    default_prefix = 'multi-label'

    def __init__(self, thresholds: Thresholds = 0.5, top_k: int | None = 3,
                 empty_classes: EmptyClasses = 'skip', skip_unlabelled: bool = False,
                 classwise: bool = True, class_scalars: bool = False,
                 collect_device: str = 'cpu', prefix: str | None = None,
                 collect_dir: str | None = None, field: str | None = None) -> None:
        super().__init__(collect_device, prefix or field, collect_dir)
        self.field = field
        self.thresholds = thresholds
        self.top_k = top_k
        self.empty_classes = empty_classes
        self.skip_unlabelled = skip_unlabelled
        self.classwise = classwise
        self.class_scalars = class_scalars

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Store ``pred_scores`` and ``gt_labels`` of a batch, or mmpretrain's names for these.

        Raises:
            ValueError: If a field is missing, or numbers of classes or targets do not fit.
        """
        for whole in data_samples:
            sample = read_field(whole, self.field, 'gt_labels', type(self).__name__)
            if sample is None:
                self.results.append(None)
                continue
            name = str(sample.get('img_path') or sample.get('img_id', 'an image'))
            fields = {}
            for field, other in MMPRETRAIN_NAMES.items():
                if field not in sample and other not in sample:
                    raise ValueError(f'{name} has no {field}; {type(self).__name__} needs both '
                                     'pred_scores and gt_labels')
                value = sample[field if field in sample else other]
                fields[field] = np.asarray(value.cpu() if hasattr(value, 'cpu') else value)
            scores, targets = fields['pred_scores'], fields['gt_labels']
            if scores.shape != targets.shape:
                raise ValueError(f'{name} has {scores.size} pred_scores, but {targets.size} '
                                 'gt_labels; model and dataset differ in classes')
            if not np.isin(targets, (-1, 0, 1)).all():
                raise ValueError(f'gt_labels of {name} must be 1, 0 or -1 (unknown), got '
                                 f'{np.unique(targets)[:5]}')
            self.results.append((scores.astype(np.float32), targets.astype(np.int8), name,
                                 *_without_calibration(sample, len(scores))))

    def evaluate(self, size: int) -> dict[str, float]:
        """The measures under their names; those of single classes in a group of their own."""
        group = f'{self.prefix}/{_OF_CLASS}'
        return {f'{self.prefix}_{_OF_CLASS}{key.removeprefix(group)}' if key.startswith(group)
                else key: value for key, value in super().evaluate(size).items()}

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Compute the measures of all images."""
        results = labelled(results, self.field)
        scores, targets, _ = stack_results(results)
        kept = (targets == 1).any(axis=1) | (not self.skip_unlabelled)
        scores, targets = scores[kept], targets[kept]
        classes = class_names(field_classes(self.dataset_meta, self.field), scores.shape[1])
        thresholds = load_thresholds(self.thresholds, scores.shape[1], classes)
        empty = np.flatnonzero((targets != 1).all(axis=0))
        result = multilabel_scores(scores, targets, thresholds, self.top_k, self.empty_classes)
        if all(len(entry) > _PLAIN for entry in results):
            raw, labels = (np.stack(part)[kept] for part in
                           zip(*(entry[_PLAIN:] for entry in results), strict=True))
            result.update(with_and_without(scores, raw, labels, targets, thresholds,
                                           self.empty_classes))
        if self.class_scalars:
            ap = 100 * average_precision(scores, targets)
            result.update({f'{_OF_CLASS}{classes[c]}': float(ap[c])
                           for c in np.flatnonzero(np.isfinite(ap))})
        if self.classwise:
            print_log(class_table(scores, targets, classes, thresholds), logger='current')
        if len(empty):
            verb = 'left out of' if self.empty_classes == 'skip' else 'counted as 0 in'
            names = ', '.join(classes[c] for c in empty[:10])
            more = ', ...' if len(empty) > 10 else ''
            print_log(f'{len(empty)} of {len(classes)} classes have no positive among '
                      f'{len(scores)} images and are {verb} mAP, CP, CR and CF1: {names}{more}',
                      logger='current')
        return result


def with_and_without(scores: np.ndarray, raw: np.ndarray, labels: np.ndarray,
                     targets: np.ndarray, thresholds: np.ndarray,
                     empty_classes: EmptyClasses = 'skip') -> dict[str, float]:
    """What calibration changes, in percent; see `MultiLabelMetric` for the names.

    Args:
        scores: (N, C) calibrated probabilities.
        raw: (N, C), what they were without.
        labels: Boolean (N, C) or, without thresholds of the checkpoint, (N, 0).
        targets: (N, C) of 1, 0 and -1.
        thresholds: (C,) probabilities, for the raw scores.
        empty_classes: See `precision_recall_f1`.
    """
    result = {'ECE': 100 * reliability(scores, targets).expected_error,
              'ECE_uncalibrated': 100 * reliability(raw, targets).expected_error}
    for end, predicted in dict(uncalibrated=raw > thresholds, fitted=labels).items():
        if predicted.shape == targets.shape:
            found = precision_recall_f1(predicted, targets, empty_classes)
            result.update({f'{name}_{end}': value for name, value in found.items()})
    return result


def _without_calibration(sample: Mapping[str, Any], count: int) -> tuple[np.ndarray, ...]:
    """The raw scores (C,), and which labels (C,) are predicted, (0,) without thresholds.

    Nothing where the model is not calibrated.
    """
    if 'raw_scores' not in sample:
        return ()
    labels = np.zeros(count if 'pred_labels' in sample else 0, dtype=bool)
    if 'pred_labels' in sample:
        labels[sample['pred_labels'].cpu().numpy()] = True
    return sample['raw_scores'].cpu().numpy().astype(np.float32), labels


def stack_results(results: list) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return scores (N, C) float32, targets (N, C) int8 and image names of collected results.

    Raises:
        ValueError: If there are none, or images have NaN scores; names them.
    """
    if not results:
        raise ValueError('no image was evaluated: the dataset is empty')
    scores, targets, names = (list(column) for column in
                              zip(*(entry[:_PLAIN] for entry in results), strict=True))
    bad = [name for name, row in zip(names, scores, strict=True) if np.isnan(row).any()]
    if bad:
        more = ', ...' if len(bad) > 10 else ''
        raise ValueError(f'{len(bad)} of {len(names)} images have NaN scores: '
                         f'{", ".join(bad[:10])}{more}')
    return np.stack(scores), np.stack(targets), names


def class_names(dataset_meta: dict | None, num_classes: int) -> list[str]:
    """Class names from the dataset's metainfo, or the indices where it has none.

    Raises:
        ValueError: If the dataset has another number of classes than the scores.
    """
    classes = (dataset_meta or {}).get('classes')
    if classes is None:
        return [str(c) for c in range(num_classes)]
    if len(classes) != num_classes:
        raise ValueError(f'the model gives {num_classes} scores per image, but the dataset has '
                         f'{len(classes)} classes')
    return list(classes)
