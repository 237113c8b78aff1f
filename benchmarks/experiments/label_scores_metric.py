"""All that a joint model's label score may be, measured in one test of one trained model."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.registry import METRICS

from tresnet_mm.evaluation import multilabel_scores


@METRICS.register_module()
class LabelScoresMetric(BaseMetric):
    """The mAP of labels by the image head, by the best box of a class, and by means of both.

    Gives ``labels/head``, ``labels/boxes``, ``labels/mean`` and ``labels/geometric``, in percent,
    of a model with ``label_scores='head'``; and how many labels an image has on average:
    ``labels/said`` are those with a head's score above 0.5, ``labels/true`` those annotated.

    Args:
        field: The image head that is measured; None for the one of the boxes' classes.
        fields: Other named image heads whose mAPs are given too, as ``labels/head_NAME``.
    """

    default_prefix = 'labels'

    def __init__(self, field: str | None = None, fields: Sequence[str] = ()) -> None:
        super().__init__()
        self.field, self.fields = field, fields

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep the scores and targets (num_classes,) of each image."""
        for sample in data_samples:
            own = sample if self.field is None else sample[self.field]
            head, found = own['pred_scores'].numpy(), sample['pred_instances']
            boxes = np.zeros_like(head)
            np.maximum.at(boxes, found['labels'].numpy(), found['scores'].numpy())
            scores = dict(head=head, boxes=boxes, mean=(head + boxes) / 2,
                          geometric=np.sqrt(head * boxes))
            scores |= {f'head_{name}': sample[name]['pred_scores'].numpy() for name in self.fields}
            self.results.append((scores, own['gt_labels'].numpy()))

    def compute_metrics(self, results: list[tuple[Mapping[str, np.ndarray], np.ndarray]]
                        ) -> dict[str, float]:
        """Measure each kind of score."""
        targets = np.stack([target for _, target in results]).astype(np.int8)
        scores = {name: np.stack([row[name] for row, _ in results]) for name in results[0][0]}
        found = {name: multilabel_scores(values, targets)['mAP'] for name, values in scores.items()}
        return dict(found, said=float((scores['head'] > 0.5).sum(axis=1).mean()),
                    true=float(targets.sum(axis=1).mean()))
