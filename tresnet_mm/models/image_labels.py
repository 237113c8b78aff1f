"""The labels of whole images in a sample of a joint model."""

from collections.abc import Sequence

import torch
from mmengine.structures import BaseDataElement
from torch import Tensor

#: What the heads, their messages and the padding of a batch are told of an image.
_META = ('img_path', 'img_id', 'img_shape')


def has_boxes(sample: BaseDataElement) -> bool:
    """Whether somebody has annotated the boxes of an image; if not it is no background either."""
    return bool(sample.metainfo.get('has_boxes', True))


def is_labelled(sample: BaseDataElement) -> bool:
    """Whether a sample, or the field of a named head in it, holds labels of the image."""
    return 'gt_labels' in sample or 'gt_label' in sample


def fields_of_head(samples: Sequence[BaseDataElement], name: str) -> list[BaseDataElement]:
    """What a named head reads of each sample, and writes: the sample's field of that name.

    Fields that are missing are made. They know the image by its path, and its size.
    """
    fields = []
    for sample in samples:
        if name not in sample:
            sample.set_field(BaseDataElement(), name)
        field = sample.get(name)
        field.set_metainfo({key: sample.metainfo[key] for key in _META if key in sample.metainfo})
        fields.append(field)
    return fields


def image_labels(sample: BaseDataElement, num_classes: int) -> Tensor | None:
    """Multi-hot labels (num_classes,) of an image: the classes of all its instances.

    Args:
        sample: With ``gt_instances`` and, optionally, ``ignored_instances`` (crowds), whose
            ``labels`` are class indices.
        num_classes: Number of classes.

    Returns:
        Float tensor of 0 and 1, or None where the sample holds no ground truth.
    """
    labels = [sample.get(field).labels for field in ('gt_instances', 'ignored_instances')
              if field in sample and 'labels' in sample.get(field)]
    if not labels or not has_boxes(sample):
        return None
    result = torch.zeros(num_classes, device=labels[0].device)
    result[torch.cat(labels).long()] = 1
    return result


def labels_from_boxes(samples: Sequence[BaseDataElement], num_classes: int) -> None:
    """Set the ``gt_labels`` of samples whose boxes are annotated; see `image_labels`."""
    for sample in samples:
        labels = image_labels(sample, num_classes)
        if labels is not None:
            sample.gt_labels = labels


def box_scores(sample: BaseDataElement, num_classes: int) -> Tensor:
    """The best score (num_classes,) of a class's boxes in ``pred_instances``, 0 without any."""
    found = sample.pred_instances
    result = torch.zeros(num_classes, device=found.scores.device)
    return result.scatter_reduce(0, found.labels.long(), found.scores.float(), 'amax')
