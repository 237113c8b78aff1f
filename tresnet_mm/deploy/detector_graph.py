"""One-stage detectors with their post-processing as functions of tensors."""

from typing import Any

from mmdet.models.dense_heads import GFLHead
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.detectors import SingleStageDetector
from torch import Tensor

from .dense_candidates import dense_candidates, require_nms_pre
from .export_graph import DetectionGraph
from .non_max_suppression import Suppression

#: What makes up mmdet's common post-processing.
_METHODS = ('predict', 'predict_by_feat', '_predict_by_feat_single', '_bbox_post_process')


class DetectorGraph(DetectionGraph):
    """A one-stage detector with box decoding and NMS, as a function of tensors.

    It does what ``BaseDenseHead.predict_by_feat`` does, for a whole batch: of each level the
    ``nms_pre`` best pairs of place and class above ``score_thr``, then NMS by class, then the
    ``max_per_img`` best of each image.

    Args:
        model: A ``SingleStageDetector`` whose head keeps mmdet's common post-processing
            (FCOS, RetinaNet, ATSS, RTMDet, ...) or is a ``GFLHead``.

    Raises:
        ValueError: If the head or its ``test_cfg`` cannot be exported.
    """

    def __init__(self, model: SingleStageDetector) -> None:
        super().__init__()
        head: Any = model.bbox_head
        name = type(head).__name__
        if type(model).predict is not SingleStageDetector.predict:
            raise ValueError(f'{type(model).__name__} predicts in a way of its own, which cannot '
                             'be exported')
        common = all(getattr(type(head), method, None) is getattr(BaseDenseHead, method)
                     for method in _METHODS)
        if not common and type(head) is not GFLHead:
            raise ValueError(f'{name} has a post-processing of its own, which cannot be exported; '
                             'FCOS, RetinaNet, ATSS, RTMDet and GFL heads can')
        if getattr(head.loss_cls, 'custom_cls_channels', False):
            raise ValueError(f'{name} with {type(head.loss_cls).__name__} cannot be exported: the '
                             'loss makes the scores in a way of its own')
        self.model = model
        self.score_thr = float(head.test_cfg.get('score_thr', 0))
        self.nms_pre = require_nms_pre(head.test_cfg)
        self.suppress = Suppression.of(head.test_cfg)

    def forward(self, images: Tensor, sizes: Tensor) -> tuple[Tensor, ...]:
        """Detect, as `DetectionGraph` says."""
        boxes, scores, labels, _ = dense_candidates(
            self.model.bbox_head, self.model.extract_feat(images), sizes, self.nms_pre,
            self.score_thr)
        image, box = self.suppress(boxes, scores, labels)
        return boxes[image, box], scores[image, box], labels[image, box], image
