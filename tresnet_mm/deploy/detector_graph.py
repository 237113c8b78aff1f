"""One-stage detectors with their post-processing as functions of tensors."""

from collections.abc import Sequence
from typing import Any

import torch
from mmdet.models.dense_heads import GFLHead
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.detectors import SingleStageDetector
from torch import Tensor

from .export_graph import DetectionGraph
from .non_max_suppression import NO_SCORE, Suppression, best, inside

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
        common = all(getattr(type(head), method, None) is getattr(BaseDenseHead, method)
                     for method in _METHODS)
        if not common and type(head) is not GFLHead:
            raise ValueError(f'{name} has a post-processing of its own, which cannot be exported; '
                             'FCOS, RetinaNet, ATSS, RTMDet and GFL heads can')
        if getattr(head.loss_cls, 'custom_cls_channels', False):
            raise ValueError(f'{name} with {type(head.loss_cls).__name__} cannot be exported: the '
                             'loss makes the scores in a way of its own')
        cfg = head.test_cfg
        if cfg.get('nms_pre', -1) < 1:
            raise ValueError(f'test_cfg.nms_pre must be above 0, got {cfg.get("nms_pre", -1)}')
        self.model = model
        self.score_thr = float(cfg.get('score_thr', 0))
        self.nms_pre = int(cfg.nms_pre)
        self.suppress = Suppression.of(cfg)

    def forward(self, images: Tensor, sizes: Tensor) -> tuple[Tensor, ...]:
        """Detect, as `DetectionGraph` says."""
        feats = self.model.extract_feat(images)
        boxes, scores, labels = self.candidates(self.model.bbox_head(feats), sizes)
        image, box = self.suppress(boxes, scores, labels)
        return boxes[image, box], scores[image, box], labels[image, box], image

    def candidates(self, outs: Sequence[Sequence[Tensor]],
                   sizes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The best (place, class) pairs of all levels: boxes (N, K, 4), scores and labels (N, K).

        Pairs below the threshold, and those that fill up levels with too few places, have the score
        `NO_SCORE`.
        """
        head: Any = self.model.bbox_head
        cls_scores, bbox_preds = outs[0], outs[1]
        factors = outs[2] if len(outs) > 2 else [None] * len(cls_scores)
        priors = head.prior_generator.grid_priors(
            [x.shape[-2:] for x in cls_scores], dtype=cls_scores[0].dtype,
            device=cls_scores[0].device)
        levels = []
        for i, (cls, pred, factor, prior) in enumerate(
                zip(cls_scores, bbox_preds, factors, priors, strict=True)):
            if isinstance(head, GFLHead):
                prior = head.anchor_center(prior)
            score, index, label = self._best(flat(cls, head.cls_out_channels))
            pred = flat(pred, pred.shape[1] // head.prior_generator.num_base_priors[i])
            boxes = decode(head, prior, pred, index, i)
            if factor is not None:
                factor = flat(factor, 1).squeeze(-1).gather(1, index).sigmoid()
                score = torch.where(score < NO_SCORE / 2, score, score * factor)
            levels.append((boxes, score, label))
        boxes, scores, labels = (torch.cat(parts, 1) for parts in zip(*levels, strict=True))
        return inside(boxes, sizes), scores, labels

    def _best(self, logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Score, place and class (N, nms_pre) of the best of the logits (N, places, channels)."""
        scores = probabilities(self.model.bbox_head, logits)
        classes = scores.shape[-1]
        scores = scores.flatten(1)
        scores = scores.masked_fill(scores <= self.score_thr, NO_SCORE)
        score, index = best(scores, self.nms_pre)
        return score, torch.div(index, classes, rounding_mode='floor'), index % classes


def flat(x: Tensor, channels: int) -> Tensor:
    """A head's output (N, A * channels, H, W) as (N, H * W * A, channels)."""
    return x.permute(0, 2, 3, 1).flatten(1).unflatten(1, (-1, channels))


def probabilities(head: Any, logits: Tensor) -> Tensor:
    """The classes' scores (N, K, classes), without that of the background, of (N, K, channels)."""
    if head.use_sigmoid_cls:
        return logits.sigmoid()
    return logits.softmax(-1)[..., :-1]


def decode(head: Any, prior: Tensor, pred: Tensor, index: Tensor, level: int) -> Tensor:
    """The boxes (N, K, 4) of chosen places of a level, not cut at the borders of the image.

    Args:
        head: A dense head.
        prior: The level's anchors or points (places, ...).
        pred: What it predicts there, (N, places, ...).
        index: The chosen places, (N, K).
        level: Index of the level.
    """
    n, k = index.shape
    pred = pred.gather(1, index[..., None].expand(-1, -1, pred.shape[-1])).flatten(0, 1)
    if isinstance(head, GFLHead):
        pred = head.integral(pred) * head.prior_generator.strides[level][0]
    return head.bbox_coder.decode(prior[index.flatten()], pred).view(n, k, 4)
