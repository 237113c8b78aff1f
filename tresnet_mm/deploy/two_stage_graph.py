"""Two-stage detectors, with or without masks, as functions of tensors."""

from collections.abc import Sequence
from typing import Any

import torch
from mmdet.models.dense_heads import RPNHead
from mmdet.models.detectors import TwoStageDetector
from mmdet.models.roi_heads import CascadeRoIHead, StandardRoIHead
from mmdet.models.roi_heads.bbox_heads import BBoxHead
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from torch import Tensor, nn

from .dense_candidates import dense_candidates, require_nms_pre
from .export_graph import DetectionGraph
from .non_max_suppression import NO_SCORE, Suppression, inside
from .roi_features import require_exportable, roi_features

#: The methods of a head that say what becomes of its outputs.
_METHODS = ('predict_by_feat', '_predict_by_feat_single', '_bbox_post_process')


class TwoStageGraph(DetectionGraph):
    """A two-stage detector as a function of tensors.

    The proposals are those of ``RPNHead``: the ``nms_pre`` best of each level, NMS by level, the
    ``max_per_img`` best. The box heads score and move them, one after the other in a cascade; what
    is above ``score_thr`` goes through NMS by class. A mask head looks at the boxes that are left.

    Args:
        model: A ``TwoStageDetector`` with mmdet's ``RPNHead`` and its ``StandardRoIHead`` or
            ``CascadeRoIHead``: Faster, Cascade and Mask R-CNN.

    Raises:
        ValueError: If a head, the RoI extractor or the ``test_cfg`` cannot be exported.
    """

    def __init__(self, model: TwoStageDetector) -> None:
        super().__init__()
        if not model.with_rpn or type(model).predict is not TwoStageDetector.predict:
            raise ValueError(f'{type(model).__name__} cannot be exported: only two-stage detectors '
                             'that make their proposals by an rpn_head, and predict boxes and '
                             'masks alone, can')
        self.model = model
        rpn, roi = model.rpn_head, model.roi_head
        _require_own(rpn, RPNHead)
        if type(roi) not in (StandardRoIHead, CascadeRoIHead):
            raise ValueError(f'{type(roi).__name__} cannot be exported; StandardRoIHead and '
                             'CascadeRoIHead can')
        self.box_heads = _stages(roi.bbox_head)
        self.box_extractors = _stages(roi.bbox_roi_extractor)
        self.mask_heads = _stages(roi.mask_head) if roi.with_mask else []
        self.mask_extractors = _stages(roi.mask_roi_extractor) if roi.with_mask else []
        for head in self.box_heads:
            _require_own(head, BBoxHead)
            if head.custom_activation or not (head.with_cls and head.with_reg):
                raise ValueError(f'{type(head).__name__} with {type(head.loss_cls).__name__} '
                                 'cannot be exported; a softmax and deltas of boxes can')
        for head in self.mask_heads:
            _require_own(head, FCNMaskHead)
        for extractor in (*self.box_extractors, *self.mask_extractors):
            require_exportable(extractor)
        self.nms_pre = require_nms_pre(rpn.test_cfg, 'test_cfg.rpn')
        self.of_proposals = Suppression.of(rpn.test_cfg, 'test_cfg.rpn')
        # the size of what comes out in the end is not looked at
        self.of_boxes = Suppression.of(roi.test_cfg, 'test_cfg.rcnn')._replace(min_size=-1)
        self.score_thr = float(roi.test_cfg.score_thr)
        if self.mask_heads:
            self.outputs = (*self.outputs, 'masks')
            self.output_axes = {**self.output_axes, 'masks': {0: 'detections'}}

    def forward(self, images: Tensor, sizes: Tensor) -> tuple[Tensor, ...]:
        """Detect, as `DetectionGraph` says.

        With mask heads the probabilities (M, h, w) inside of each box come last.
        """
        feats = self.model.extract_feat(images)
        proposals, image = self.propose(feats, sizes)
        boxes, scores = self.refine(feats, proposals, image, sizes)
        mine = rows_of_images(image, images.shape[0], self.of_proposals.limit)
        boxes, scores = _with_filling(boxes, 0)[mine], _with_filling(scores, NO_SCORE)[mine]
        boxes, scores = boxes.flatten(1, 2), scores.flatten(1)  # N, proposals * classes
        scores = scores.masked_fill(scores <= self.score_thr, NO_SCORE)
        labels = torch.arange(self.box_heads[0].num_classes).repeat(self.of_proposals.limit)
        image, box = self.of_boxes(boxes, scores, labels)
        boxes, scores, labels = boxes[image, box], scores[image, box], labels[box]
        if not self.mask_heads:
            return boxes, scores, labels, image
        return boxes, scores, labels, image, self.masks(feats, boxes, labels, image)

    def propose(self, feats: Sequence[Tensor], sizes: Tensor) -> tuple[Tensor, Tensor]:
        """The proposals (M, 4) of all images, and the image (M,) of each."""
        boxes, scores, _, levels = dense_candidates(
            self.model.rpn_head, feats, sizes, self.nms_pre, float('-inf'))
        image, box = self.of_proposals(boxes, scores, levels)
        return boxes[image, box], image

    def refine(self, feats: Sequence[Tensor], boxes: Tensor, image: Tensor,
               sizes: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes (M, classes, 4) and scores (M, classes) of proposals (M, 4) in images (M,)."""
        stages: list[Tensor] = []
        for head, extractor in zip(self.box_heads, self.box_extractors, strict=True):
            if stages:  # on from the box of the best class
                boxes = of_labels(boxes, stages[-1][:, :-1].argmax(1))
            logits, deltas = head(self._pool(extractor, feats, boxes, image))
            stages.append(logits)
            boxes = _decode(head, boxes, deltas, sizes[image])  # M, classes, 4
        return boxes, _mean(stages).softmax(-1)[:, :-1]

    def masks(self, feats: Sequence[Tensor], boxes: Tensor, labels: Tensor,
              image: Tensor) -> Tensor:
        """The probabilities (M, h, w) of the masks inside of boxes (M, 4)."""
        stages = []
        for head, extractor in zip(self.mask_heads, self.mask_extractors, strict=True):
            logits = head(self._pool(extractor, feats, boxes, image))
            logits = logits[:, 0] if head.class_agnostic else of_labels(logits, labels)
            stages.append(logits.sigmoid())
        return _mean(stages)

    def _pool(self, extractor: Any, feats: Sequence[Tensor], boxes: Tensor,
              image: Tensor) -> Tensor:
        pooled = roi_features(extractor, feats, boxes, image)
        roi = self.model.roi_head
        return roi.shared_head(pooled) if roi.with_shared_head else pooled


def of_labels(x: Tensor, labels: Tensor) -> Tensor:
    """Of (M, classes, ...) what is of each row's class (M,)."""
    return x[torch.arange(labels.shape[0]), labels]


def rows_of_images(image: Tensor, images: int, limit: int) -> Tensor:
    """Which of M rows are each image's, as a table.

    Args:
        image: The image of each row (M,), ascending.
        images: Number of images N.
        limit: How many rows an image has at most.

    Returns:
        Indices (N, limit), M where an image has no more.
    """
    counts = (image == torch.arange(images)[:, None]).sum(1)
    place = torch.arange(limit)
    rows = (counts.cumsum(0) - counts)[:, None] + place
    return torch.where(place < counts[:, None], rows, torch.full_like(rows, 1) * image.shape[0])


def _mean(stages: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(stages)).mean(0) if len(stages) > 1 else stages[0]


def _with_filling(x: Tensor, value: float) -> Tensor:
    """With a row more, the one that fills up tables of rows."""
    return torch.cat([x, torch.full_like(x[:1].sum(0, keepdim=True), value)])


def _decode(head: Any, boxes: Tensor, deltas: Tensor, sizes: Tensor) -> Tensor:
    """The boxes (M, classes, 4) that a head moves boxes (M, 4) to, in images of sizes (M, 2)."""
    count = 1 if head.reg_class_agnostic else head.num_classes
    boxes = boxes[:, None].expand(-1, count, -1).reshape(-1, 4)
    moved = head.bbox_coder.decode(boxes, deltas.reshape(-1, 4)).view(-1, count, 4)
    if head.bbox_coder.clip_border:
        moved = inside(moved, sizes)
    return moved.expand(-1, head.num_classes, -1)


def _stages(part: Any) -> list:
    """The heads or extractors of a cascade, or the only one."""
    return list(part) if isinstance(part, nn.ModuleList) else [part]


def _require_own(head: Any, kind: type) -> None:
    """Refuse a head that makes more of its outputs than mmdet's own of a kind."""
    same = all(getattr(type(head), method, None) is getattr(kind, method, None)
               for method in _METHODS)
    if not isinstance(head, kind) or not same:
        raise ValueError(f'{type(head).__name__} has a post-processing of its own, which cannot be '
                         f'exported; that of {kind.__name__} can')
