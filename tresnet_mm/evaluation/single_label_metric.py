"""Single-label measures: top-1, top-5 and mean per-class accuracy."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmengine.registry import METRICS

from .multilabel_metric import class_names, stack_results
from .sample_field import field_classes, labelled, read_field


def single_label_scores(scores: np.ndarray, targets: np.ndarray,
                        top_k: int = 5) -> dict[str, float]:
    """Accuracies of one set of predictions, in percent.

    Of equal scores the first class ranks first, as in ``argmax``.

    Args:
        scores: (N, C), any monotone scores.
        targets: (N,) class indices.
        top_k: Also count a class as found among so many of highest score; of fewer classes, all.

    Returns:
        ``top1``, ``top{min(top_k, C)}`` and ``per_class``, the mean over the classes that have
        images of each one's top-1 accuracy.

    Raises:
        ValueError: If shapes do not fit or a target is no class.

    Examples:
        >>> import numpy as np
        >>> from tresnet_mm.evaluation import single_label_scores
        >>> scores = np.array([[0.7, 0.2, 0.1], [0.5, 0.3, 0.2], [0.1, 0.2, 0.7]])
        >>> single_label_scores(scores, np.array([0, 1, 0]), top_k=2)
        {'top1': 33.33333333333333, 'top2': 66.66666666666666, 'per_class': 25.0}
    """
    ranks = _ranks(scores, targets)
    top_k = min(top_k, scores.shape[1])
    accuracy = _class_accuracy(ranks, targets, scores.shape[1])
    return {'top1': float(100 * (ranks < 1).mean()),
            f'top{top_k}': float(100 * (ranks < top_k).mean()),
            'per_class': float(100 * np.nanmean(accuracy))}


def _ranks(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The place, from 0, of each image's class among its scores; (N,)."""
    if scores.ndim != 2 or targets.shape != scores.shape[:1] or not len(scores):
        raise ValueError('scores must be (images, classes) and targets (images,), not empty, got '
                         f'{scores.shape} and {targets.shape}')
    if targets.min() < 0 or targets.max() >= scores.shape[1]:
        raise ValueError(f'targets must lie between 0 and {scores.shape[1] - 1}, got values from '
                         f'{targets.min()} to {targets.max()}')
    own = np.take_along_axis(scores, targets[:, None], axis=1)
    earlier = np.arange(scores.shape[1]) < targets[:, None]
    return ((scores > own) | ((scores == own) & earlier)).sum(axis=1)


def _class_accuracy(ranks: np.ndarray, targets: np.ndarray, num_classes: int) -> np.ndarray:
    """Top-1 accuracy (C,) in [0, 1], NaN for a class without images."""
    counts = np.bincount(targets, minlength=num_classes)
    hits = np.bincount(targets[ranks == 0], minlength=num_classes)
    return np.divide(hits, counts, out=np.full(num_classes, np.nan), where=counts > 0)


@METRICS.register_module()
class SingleLabelMetric(BaseMetric):
    """Single-label measures of a data set, see `single_label_scores`.

    In a distributed run the images a sampler adds to even out the ranks are dropped again, so the
    result is that of one process.

    Args:
        top_k: As in `single_label_scores`.
        classwise: Print a table of each class's accuracy.
        field: As in `MultiLabelMetric`.
        collect_device: See ``BaseMetric``.
        prefix: See ``BaseMetric``; with a ``field`` that by default.
        collect_dir: See ``BaseMetric``.

    Raises:
        ValueError: If ``top_k`` is not a positive integer.
    """

    default_prefix = 'single-label'

    def __init__(self, top_k: int = 5, classwise: bool = True, collect_device: str = 'cpu',
                 prefix: str | None = None, collect_dir: str | None = None,
                 field: str | None = None) -> None:
        super().__init__(collect_device, prefix or field, collect_dir)
        self.field = field
        if not isinstance(top_k, int) or top_k < 1:
            raise ValueError(f'top_k must be a positive integer, got {top_k!r}')
        self.top_k = top_k
        self.classwise = classwise

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Store ``pred_scores`` and ``gt_label`` of a batch.

        Raises:
            ValueError: If a field is missing, or a label is none of the model's classes.
        """
        for whole in data_samples:
            sample = read_field(whole, self.field, 'gt_label', type(self).__name__)
            if sample is None:
                self.results.append(None)
                continue
            name = str(sample.get('img_path') or sample.get('img_id', 'an image'))
            for field in ('pred_scores', 'gt_label'):
                if field not in sample:
                    raise ValueError(f'{name} has no {field}; {type(self).__name__} needs a model '
                                     'with SingleLabelHead and PackSingleLabelInputs')
            scores, target = (np.asarray(value.cpu() if hasattr(value, 'cpu') else value)
                              for value in (sample['pred_scores'], sample['gt_label']))
            if target.size != 1 or not 0 <= target.item() < scores.size:
                raise ValueError(f'{name} has the label {target.tolist()}, and {scores.size} '
                                 'pred_scores; model and dataset differ in classes')
            self.results.append((scores.astype(np.float32), int(target.item()), name))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Compute the measures of all images."""
        scores, targets, _ = stack_results(labelled(results, self.field))
        classes = class_names(field_classes(self.dataset_meta, self.field), scores.shape[1])
        result = single_label_scores(scores, targets, self.top_k)
        if self.classwise:
            print_log(_class_table(scores, targets, classes), logger='current')
        absent = len(classes) - len(np.unique(targets))
        if absent:
            print_log(f'{absent} of {len(classes)} classes have no image among {len(scores)} and '
                      'are left out of per_class', logger='current')
        return result


def _class_table(scores: np.ndarray, targets: np.ndarray, classes: Sequence[str]) -> str:
    """Format the number of images and the top-1 accuracy of each class, in percent."""
    accuracy = 100 * _class_accuracy(_ranks(scores, targets), targets, len(classes))
    counts = np.bincount(targets, minlength=len(classes))
    width = max(len('class'), *map(len, classes))
    lines = ['', f'{"class":{width}}  images  accuracy']
    for name, count, value in zip(classes, counts, accuracy, strict=True):
        lines.append(f'{name:{width}}  {count:6d}  {value:8.1f}')
    return '\n'.join(lines)
