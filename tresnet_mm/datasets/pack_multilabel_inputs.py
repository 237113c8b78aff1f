"""From an image and its labels to what a multi-label model takes."""

from collections.abc import Sequence

import torch
from mmcv.transforms import BaseTransform
from mmengine.registry import TRANSFORMS
from mmengine.structures import BaseDataElement

from .channel_planes import channel_planes
from .unknown_mask import unknown_mask


def label_vector(results: dict) -> torch.Tensor:
    """Spread the labels of a record to (num_classes,): 1 present, 0 absent, -1 unknown."""
    target = torch.zeros(results['num_classes'])
    target[torch.from_numpy(unknown_mask(results))] = -1
    target[list(results['gt_labels'])] = 1
    return target


@TRANSFORMS.register_module()
class PackMultiLabelInputs(BaseTransform):
    """Pack an image and its labels for a multi-label model.

    Required keys: ``img`` (H, W, C); ``gt_labels`` (class indices) with ``num_classes``, unless
    there are no labels, as for new images. Optional: ``unknown_labels``, or ``absent_labels``
    where all others are unknown (class indices).

    Gives ``inputs``, a uint8 tensor (C, H, W), and ``data_samples``, a ``BaseDataElement`` whose
    ``gt_labels`` is a float tensor (num_classes,): 1 present, 0 absent, -1 unknown.

    Args:
        meta_keys: What else of the record goes into the sample, where it is there.
    """

    def __init__(
        self,
        meta_keys: Sequence[str] = (
            'sample_idx', 'img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor',
            'flip', 'flip_direction'),
    ) -> None:  # fmt: skip
        self.meta_keys = tuple(meta_keys)

    def transform(self, results: dict) -> dict:
        """Pack ``results``."""
        sample = BaseDataElement(
            metainfo={key: results[key] for key in self.meta_keys if key in results}
        )
        if 'gt_labels' in results:
            sample.gt_labels = label_vector(results)
        inputs = torch.from_numpy(channel_planes(results['img']))
        return dict(inputs=inputs, data_samples=sample)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(meta_keys={self.meta_keys})'
