"""Test-time augmentation for boxes and image-level labels at once."""

from collections.abc import Sequence
from typing import Any

import torch
from mmdet.registry import MODELS as DETECTORS
from mmengine.model import BaseTTAModel
from mmengine.registry import MODELS
from mmengine.structures import BaseDataElement


@MODELS.register_module()
class MultiTaskTTAModel(BaseTTAModel):
    """Boxes merged by mmdet's ``DetTTAModel``, image-level probabilities averaged.

    Args:
        tta_cfg: How boxes are merged, see ``DetTTAModel``.
        **kwargs: ``module`` (a `MultiTaskDetector`) and ``data_preprocessor`` of mmengine's
            ``BaseTTAModel``.
    """

    def __init__(self, tta_cfg: dict | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # built, not inherited: importing mmdet.models takes seconds, which only TTA should cost
        self.box_merger = DETECTORS.build(
            dict(type='DetTTAModel', module=self.module, tta_cfg=tta_cfg))

    def merge_preds(self, data_samples_list: Sequence[Sequence[BaseDataElement]]
                    ) -> list[BaseDataElement]:
        """Merge the views of each image."""
        merged = self.box_merger.merge_preds(data_samples_list)
        for sample, views in zip(merged, data_samples_list, strict=True):
            if self.module.image_head is not None:
                _average(self.module.image_head, sample, views)
            for name, head in self.module.image_heads.items():
                _average(head, sample.get(name), [view.get(name) for view in views])
        return merged


def _average(head: Any, merged: BaseDataElement, views: Sequence[BaseDataElement]) -> None:
    """Set the mean of the views' probabilities, and what it predicts."""
    head.set_scores(merged, torch.stack([view.pred_scores for view in views]).mean(dim=0))
