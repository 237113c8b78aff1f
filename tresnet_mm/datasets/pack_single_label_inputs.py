"""From an image and its one label to what a single-label model takes."""

import torch
from mmengine.registry import TRANSFORMS

from .pack_multilabel_inputs import PackMultiLabelInputs


@TRANSFORMS.register_module()
class PackSingleLabelInputs(PackMultiLabelInputs):
    """Pack an image and its one label for a model with `SingleLabelHead`.

    As `PackMultiLabelInputs`, except that ``data_samples`` hold ``gt_label``, an integer tensor
    (1,) with the index of the class, in the place of ``gt_labels``.

    Args:
        meta_keys: What else of the record goes into the sample, where it is there.

    Raises:
        ValueError: If the image has not exactly one label.
    """

    def transform(self, results: dict) -> dict:
        """Pack ``results``."""
        labels = results.get('gt_labels')
        packed = super().transform({k: v for k, v in results.items() if k != 'gt_labels'})
        if labels is not None:
            if (len(labels) != 1 or results.get('unknown_labels')
                    or 'absent_labels' in results):  # all others are unknown
                raise ValueError(f'an image of one class has one label, got {list(labels)}; '
                                 'PackMultiLabelInputs packs any number')
            packed['data_samples'].gt_label = torch.tensor(list(labels))
        return packed
