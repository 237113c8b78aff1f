"""Joint models of boxes and labels as functions of tensors."""

from typing import Any

import torch
from torch import Tensor

from ..models.multitask_detector import IMAGE_HEAD, MultiTaskDetector
from .export_graph import DetectionGraph, ExportGraph


class JointGraph(ExportGraph):
    """A joint model as a function of tensors; its backbone runs once.

    Args:
        model: The joint model.
        detections: The graph of its detector.
    """

    def __init__(self, model: MultiTaskDetector, detections: DetectionGraph) -> None:
        super().__init__()
        self.model = model
        self.detections = detections
        names = {name: f'label_scores.{name}' for name in model.image_heads}
        if model.image_head is not None:
            names = {IMAGE_HEAD: 'label_scores', **names}
        self.outputs = (*detections.outputs, *names.values())
        self.output_axes = {**detections.output_axes,
                            **{name: {0: 'batch'} for name in names.values()}}

    def forward(self, images: Tensor, sizes: Tensor) -> tuple[Tensor, ...]:
        """What the detector's graph returns, then the labels' scores (N, classes) of each head."""
        model: Any = self.model
        # The model itself brings features and heads together: only its detector is another one.
        model.detector.forward = lambda inputs, samples, mode: self.detections(inputs, samples)
        try:
            found, logits = model(images, sizes, mode='tensor')
        finally:
            del model.detector.forward
        if isinstance(logits, Tensor):
            logits = {IMAGE_HEAD: logits}
        heads = {IMAGE_HEAD: model.image_head, **model.image_heads}
        scores = {name: heads[name].probabilities(x.float()) for name, x in logits.items()}
        if model.label_scores != 'head':
            head, own = model.image_head, scores[IMAGE_HEAD]
            if head.is_calibrated:  # which comes last: the scores of boxes are calibrated along
                own = logits[IMAGE_HEAD].float().sigmoid()
            both = model.combined_scores(own, best_of_classes(found, *own.shape))
            scores[IMAGE_HEAD] = head.calibrated_scores(both)
        return (*found, *scores.values())


def best_of_classes(found: tuple[Tensor, ...], images: int, classes: int) -> Tensor:
    """The best score (images, classes) of the boxes of each class, 0 without any.

    Args:
        found: What a `DetectionGraph` returns.
        images: Number of images.
        classes: Number of classes.
    """
    _, scores, labels, image_ids, *_ = found
    # ONNX scatters maxima from set 18 on only; a detection more, of score 0, is always there.
    scores, labels, image_ids = (torch.cat([x, x.new_zeros(1)])
                                 for x in (scores, labels, image_ids))
    own = image_ids == torch.arange(images, device=labels.device)[:, None]  # images, M
    same = labels == torch.arange(classes, device=labels.device)[:, None]  # classes, M
    return ((own[:, None] & same).to(scores) * scores).amax(-1)
