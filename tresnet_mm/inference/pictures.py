"""Pictures of results: boxes on the image, labels below it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mmcv.image import bgr2rgb, gray2rgb
from mmengine.config import Config
from mmengine.structures import BaseDataElement
from mmengine.visualization import Visualizer

from ..config_tree import type_name
from ..visualization.named_labels import named_fields
from .results import Decision


def visualizer_config(cfg: Config) -> dict[str, Any]:
    """The config's visualizer, without its backends.

    `MultiLabelVisualizer`, which draws boxes as mmdet's does, takes the place of mmdet's, which
    draws no labels, and of a missing one.
    """
    own = dict(cfg.get('visualizer') or {})
    for key in ('vis_backends', 'save_dir'):
        own.pop(key, None)
    if type_name(own.get('type')) in ('', 'DetLocalVisualizer', 'Visualizer'):
        own['type'] = 'MultiLabelVisualizer'
    return own


def draw(visualizer: Visualizer, pixels: np.ndarray, sample: BaseDataElement,
         decision: Decision) -> np.ndarray:
    """Draw what is predicted of one image.

    Args:
        visualizer: Of `visualizer_config`, with ``dataset_meta``.
        pixels: The image as it was read: BGR (H, W, 3) or grey (H, W).
        sample: What the model says of it, on the CPU.
        decision: Which boxes and labels are predicted.

    Returns:
        uint8 (height, width, 3) in RGB.
    """
    pixels = pixels.clip(0, 255).astype(np.uint8)
    picture = gray2rgb(pixels) if pixels.ndim == 2 else bgr2rgb(pixels)
    height, width = picture.shape[:2]
    shown = sample.clone()
    if 'pred_instances' in shown:
        instances = decision.instances(shown.pred_instances)
        # Up to the last pixel: the visualizer warns of every box that ends outside.
        limits = torch.tensor([width, height, width, height]) - 1
        instances.bboxes = instances.bboxes.clamp(min=0).minimum(limits)
        shown.pred_instances = instances
    if 'pred_scores' in shown:
        shown.pred_labels = torch.from_numpy(decision.labels(shown.pred_scores.numpy()))
    for name, field in named_fields(sample).items():
        if 'pred_scores' in field:
            shown.set_field(field.clone(), name)  # that of the sample stays as it is
            shown.get(name).pred_labels = torch.from_numpy(decision.named_labels(field))
    visualizer.add_datasample('prediction', picture, shown, draw_gt=False, pred_score_thr=-1)
    return visualizer.get_image()
