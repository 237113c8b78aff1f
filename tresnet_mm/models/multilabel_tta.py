"""Test-time augmentation for image-level labels."""

from collections.abc import Sequence

import torch
from mmengine.model import BaseTTAModel
from mmengine.registry import MODELS
from mmengine.structures import BaseDataElement
from torch import Tensor


@MODELS.register_module()
class MultiLabelTTAModel(BaseTTAModel):
    """Mean of the probabilities over the augmented views of an image.

    Used as ``tta_model`` in a config, with a ``tta_pipeline`` that holds mmcv's ``TestTimeAug``.
    """

    def merge_preds(self, data_samples_list: Sequence[Sequence[BaseDataElement]]
                    ) -> list[BaseDataElement]:
        """Merge the views of each image.

        Args:
            data_samples_list: Per image, the predictions of its views.

        Returns:
            Per image the first view's sample with the mean ``pred_scores`` and, where the head
            has thresholds, ``pred_labels`` of these.
        """
        merged = [views[0] for views in data_samples_list]
        self.module.head.set_scores(merged, mean_scores(data_samples_list))
        return merged


def mean_scores(data_samples_list: Sequence[Sequence[BaseDataElement]]) -> Tensor:
    """The mean ``pred_scores`` (N, num_classes) over the views of each of N images."""
    return torch.stack([torch.stack([view.pred_scores for view in views]).mean(dim=0)
                        for views in data_samples_list])
