"""Test-time augmentation for boxes and image-level labels at once."""

from collections.abc import Sequence
from typing import Any

from mmdet.registry import MODELS as DETECTORS
from mmengine.model import BaseTTAModel
from mmengine.registry import MODELS
from mmengine.structures import BaseDataElement

from .multilabel_tta import mean_scores


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
        if self.module.image_head is not None:
            self.module.image_head.set_scores(merged, mean_scores(data_samples_list))
        for name, head in self.module.image_heads.items():
            scores = mean_scores([[view.get(name) for view in views]
                                  for views in data_samples_list])
            head.set_scores([sample.get(name) for sample in merged], scores)
        return merged
