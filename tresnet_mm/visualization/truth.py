"""The true boxes, masks and labels of an image, as a model is given them."""

from collections.abc import Mapping, Sequence
from typing import Any

import mmcv
import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import BaseBoxes
from mmdet.visualization import DetLocalVisualizer
from mmengine.structures import BaseDataElement, InstanceData

from .label_scores import draw_label_scores
from .named_labels import draw_named_labels


def draw_truth(image: np.ndarray, sample: BaseDataElement, dataset_meta: Mapping[str, Any],
               width: int = 400) -> np.ndarray:
    """Draw boxes and masks on an image, and the image's labels below it.

    Args:
        image: uint8 (H, W, 3) in RGB.
        sample: With ``gt_instances`` (boxes x1, y1, x2, y2 in pixels of ``image``; mmdet's masks
            where there are some), ``gt_labels`` (num_classes,), or both, or ``gt_label``. Labels
            between 0 and 1, as mixup makes them, are listed with their value. Fields of named image
            heads are listed too.
        dataset_meta: ``classes``, ``palette`` with an RGB colour for each, and ``image_classes``.
        width: Width in pixels to which the image is scaled before it is drawn on.

    Returns:
        uint8 (height, width, 3) in RGB.
    """
    scale = width / image.shape[1]
    size = (width, max(1, round(image.shape[0] * scale)))
    picture = mmcv.imresize(image, size, interpolation='bicubic' if scale > 1 else 'area')
    if 'gt_instances' in sample:
        visualizer = DetLocalVisualizer(line_width=2)
        visualizer.dataset_meta = dict(dataset_meta)
        boxes = DetDataSample(gt_instances=_scaled(sample.gt_instances, scale, size))
        visualizer.add_datasample('truth', picture, boxes, draw_pred=False)
        picture = visualizer.get_image()
    text_size = max(13, width // 45)
    labels = image_targets(sample, dataset_meta.get('classes') or ())
    if labels is not None:
        names = dataset_meta.get('classes') or [str(i) for i in range(len(labels))]
        soft = bool(((labels > 0) & (labels < 1)).any())
        picture = draw_label_scores(
            picture, labels if soft else None, names, None if soft else labels, width=width, top=0,
            predicted=labels > 0 if soft else None, text_size=text_size)
    return draw_named_labels(picture, sample, dataset_meta.get('image_classes') or {},
                             draw_pred=False, width=width, text_size=text_size)


def image_targets(sample: BaseDataElement, classes: Sequence[str]) -> np.ndarray | None:
    """The true labels (num_classes,) of an image; None where it has none.

    Args:
        sample: With ``gt_labels`` (num_classes,), or ``gt_label``, the index of its one class.
        classes: Names of the classes; where there are none, those up to that one are counted.
    """
    if 'gt_labels' in sample:
        return np.asarray(sample.gt_labels)
    if 'gt_label' not in sample:
        return None
    label = int(sample.gt_label)
    return (np.arange(len(classes) or label + 1) == label).astype(int)


def _scaled(instances: InstanceData, scale: float, size: tuple[int, int]) -> InstanceData:
    width, height = size
    boxes = instances.bboxes
    boxes = boxes.tensor if isinstance(boxes, BaseBoxes) else boxes
    # Up to the last pixel: the visualizer warns of every box that ends outside.
    limits = torch.tensor([width, height, width, height]) - 1
    scaled = InstanceData(bboxes=(boxes * scale).clamp(min=0).minimum(limits),
                          labels=instances.labels)
    if 'masks' in instances:
        scaled.masks = instances.masks.resize((height, width)).to_ndarray()
        scaled.masks = scaled.masks.astype(bool)
    return scaled
