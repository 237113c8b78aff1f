"""From a model's data sample to plain Python values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from mmdet.structures.mask import encode_mask_results
from mmengine.structures import BaseDataElement, InstanceData

#: Above which a label is predicted where nothing else is said.
DEFAULT_THRESHOLD = 0.5


@dataclass(frozen=True)
class Decision:
    """Which of a model's scores become results.

    Attributes:
        score_thr: Boxes of a higher score are kept.
        thresholds: (num_classes,) float32 probabilities: a label is predicted where the image's
            score is higher.
        top_k: Predict as many labels, those of highest score, whatever the thresholds; None goes by
            the thresholds.
        named_threshold: The one threshold of named image heads; None takes their own.
    """

    score_thr: float
    thresholds: np.ndarray
    top_k: int | None = None
    named_threshold: float | None = None

    def labels(self, scores: np.ndarray) -> np.ndarray:
        """The predicted labels' indices, the highest score first, from scores (num_classes,)."""
        ranked = np.argsort(-scores, kind='stable')
        if self.top_k is not None:
            return ranked[:self.top_k]
        return ranked[scores[ranked] > self.thresholds[ranked]]

    def named_labels(self, field: BaseDataElement) -> np.ndarray:
        """The predicted labels' indices of a named image head, the highest score first.

        Args:
            field: The sample's field of that name, on the CPU. Of a head of one label an image
                there is always that one.
        """
        if 'pred_label' in field:
            return field.pred_label.numpy()
        scores = field.pred_scores.numpy()
        ranked = np.argsort(-scores, kind='stable')
        if self.top_k is not None:
            return ranked[:self.top_k]
        if self.named_threshold is None and 'pred_labels' in field:
            return ranked[np.isin(ranked, field.pred_labels.numpy())]
        threshold = DEFAULT_THRESHOLD if self.named_threshold is None else self.named_threshold
        return ranked[scores[ranked] > threshold]

    def instances(self, instances: InstanceData) -> InstanceData:
        """The boxes that are kept, the highest score first."""
        kept = instances[instances.scores > self.score_thr]
        return kept[kept.scores.argsort(descending=True, stable=True)]


def describe(sample: BaseDataElement, classes: Sequence[str], decision: Decision,
             image_classes: Mapping[str, Sequence[str]] = MappingProxyType({})) -> dict[str, Any]:
    """What a model says of one image, in plain Python values that JSON can hold.

    Args:
        sample: On the CPU, with ``pred_instances`` (boxes in pixels of the image as it was read),
            ``pred_scores`` (num_classes,) probabilities, or both.
        classes: Names of the classes.
        decision: Which boxes and labels are predicted.
        image_classes: Names of the classes of each named image head, whose predictions are in the
            sample's field of that name.

    Returns:
        ``boxes`` where the model gives boxes: a list of ``dict(label, label_id, score, bbox)``,
        ``bbox`` being [x1, y1, x2, y2], and ``mask`` (COCO's run-length code, ``dict(size,
        counts)``) where it gives masks. ``labels`` and ``scores`` where it labels images: a list of
        ``dict(label, label_id, score)``, and the scores of all classes by name. ``image_labels``
        where it has named image heads: ``dict(labels, scores)`` of each.

    Raises:
        ValueError: The sample has neither boxes nor scores of labels, a score is no number, or a
            label has no name.
    """
    result: dict[str, Any] = {}
    if 'pred_instances' in sample:
        result['boxes'] = _boxes(decision.instances(sample.pred_instances), classes)
    if 'pred_scores' in sample:
        scores = sample.pred_scores.numpy().astype(np.float32)
        _require_numbers(scores)
        result['labels'] = [_labelled(classes, index, scores[index])
                            for index in decision.labels(scores)]
        result['scores'] = dict(zip(classes, scores.tolist(), strict=True))
    named = {name: _named(sample.get(name), names, decision)
             for name, names in image_classes.items() if name in sample}
    if named:
        result['image_labels'] = named
    if not result:
        raise ValueError('the model gives neither pred_instances (boxes) nor pred_scores (labels), '
                         f'but {", ".join(sample.keys()) or "nothing"}')
    return result


def named_lines(result: Mapping[str, Any]) -> list[str]:
    """The labels of named image heads in a result of `describe`, as lines: name: label score."""
    return [f'{name}: {label["label"]} {label["score"]:.2f}'
            for name, found in result.get('image_labels', {}).items() for label in found['labels']]


def _named(field: BaseDataElement, classes: Sequence[str], decision: Decision) -> dict[str, Any]:
    scores = field.pred_scores.numpy().astype(np.float32)
    _require_numbers(scores)
    return dict(labels=[_labelled(classes, int(index), scores[index])
                        for index in decision.named_labels(field)],
                scores=dict(zip(classes, scores.tolist(), strict=True)))


def _boxes(instances: InstanceData, classes: Sequence[str]) -> list[dict[str, Any]]:
    scores, corners = instances.scores.numpy(), instances.bboxes.numpy()
    _require_numbers(scores)
    _require_numbers(corners)
    boxes = [dict(_labelled(classes, label, score), bbox=bbox) for label, score, bbox in
             zip(instances.labels.tolist(), scores, corners.tolist(), strict=True)]
    if 'masks' in instances:
        for box, code in zip(boxes, encode_mask_results(instances.masks.numpy()), strict=True):
            box['mask'] = dict(size=list(code['size']), counts=code['counts'].decode())
    return boxes


def _labelled(classes: Sequence[str], index: int, score: float) -> dict[str, Any]:
    if not index < len(classes):
        raise ValueError(f'the model gives label {index}, but there are {len(classes)} classes')
    return dict(label=classes[index], label_id=int(index), score=float(score))


def _require_numbers(values: np.ndarray) -> None:
    if not np.isfinite(values).all():
        raise ValueError('the model gives scores or boxes that are NaN or infinite: its weights '
                         'are damaged, or do not belong to it')
