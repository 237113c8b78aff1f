"""True and predicted boxes, side by side."""

from collections.abc import Mapping
from typing import Any

import mmcv
import numpy as np
from mmdet.structures import DetDataSample
from mmdet.visualization import DetLocalVisualizer
from mmengine.structures import InstanceData


def draw_detections(
    image: np.ndarray,
    truth: InstanceData,
    predicted: InstanceData,
    dataset_meta: Mapping[str, Any],
    score_threshold: float = 0.3,
    scale: float = 1.0,
) -> np.ndarray:
    """Draw the true boxes on a copy of an image and the predicted ones on another to its right.

    Args:
        image: uint8 (H, W, 3) in RGB.
        truth: ``bboxes`` (n, 4) as x1, y1, x2, y2 in pixels and ``labels`` (n,).
        predicted: The same, and ``scores`` (n,) in [0, 1].
        dataset_meta: ``classes``, and ``palette`` with an RGB colour for each.
        score_threshold: Predictions of a lower score are left out.
        scale: The picture is enlarged so many times before it is drawn on, for legible text.

    Returns:
        uint8 (H * scale, 2 * W * scale, 3) in RGB.
    """
    picture = mmcv.imrescale(image, scale, interpolation='bicubic')
    height, width = picture.shape[:2]
    truth, predicted = truth.clone(), predicted.clone()
    for instances in (truth, predicted):
        # Up to the last pixel: the visualizer warns of every box that ends outside.
        boxes = instances.bboxes * scale
        boxes[:, 0::2] = boxes[:, 0::2].clamp(0, width - 1)
        boxes[:, 1::2] = boxes[:, 1::2].clamp(0, height - 1)
        instances.bboxes = boxes
    visualizer = DetLocalVisualizer(line_width=2)
    visualizer.dataset_meta = dict(dataset_meta)
    visualizer.add_datasample(
        'detections',
        picture,
        DetDataSample(gt_instances=truth, pred_instances=predicted),
        pred_score_thr=score_threshold,
    )
    return visualizer.get_image()
