"""One-stage detectors with their post-processing as functions of tensors."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmcv.ops import nms
from mmdet.models.dense_heads import GFLHead
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.detectors import SingleStageDetector
from torch import Tensor, nn


class DetectorGraph(nn.Module):
    """A one-stage detector with box decoding and NMS, as a function of tensors.

    It does what ``BaseDenseHead.predict_by_feat`` does, for a whole batch: of each level the
    ``nms_pre`` best pairs of place and class above ``score_thr``, then NMS by class, then the
    ``max_per_img`` best of each image.

    Args:
        model: A ``SingleStageDetector`` whose head keeps mmdet's common post-processing
            (FCOS, RetinaNet, ATSS, ...) or is a ``GFLHead``.

    Raises:
        ValueError: If the head or its ``test_cfg`` cannot be exported.
    """

    inputs = ('images', 'sizes')
    outputs = ('boxes', 'scores', 'labels', 'image_ids')
    output_axes = {name: {0: 'detections'} for name in outputs}

    def __init__(self, model: SingleStageDetector) -> None:
        super().__init__()
        head = model.bbox_head
        own = type(head)._predict_by_feat_single
        if own is not BaseDenseHead._predict_by_feat_single and type(head) is not GFLHead:
            raise ValueError(f'{type(head).__name__} has a post-processing of its own, which '
                             'cannot be exported; FCOS, RetinaNet, ATSS and GFL heads can')
        cfg = head.test_cfg
        if cfg.nms.get('type', 'nms') != 'nms':
            raise ValueError(f'test_cfg.nms.type must be nms to be exported, got {cfg.nms.type!r}')
        if cfg.get('nms_pre', -1) < 1:
            raise ValueError(f'test_cfg.nms_pre must be above 0, got {cfg.get("nms_pre", -1)}')
        self.model = model
        self.score_thr = float(cfg.get('score_thr', 0))
        self.nms_pre = int(cfg.nms_pre)
        self.min_bbox_size = float(cfg.get('min_bbox_size', -1))
        self.iou_threshold = float(cfg.nms.iou_threshold)
        self.max_per_img = int(cfg.max_per_img)

    def forward(self, images: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Detect.

        Args:
            images: Preprocessed images (N, 3, H, W), padded at the right and bottom.
            sizes: Integers (N, 2), height and width of each image without the padding.

        Returns:
            Of the M detections in all images: boxes (M, 4) as x1, y1, x2, y2 in pixels of the
            input, scores (M,), classes (M,), and the image (M,) that each belongs to; grouped by
            image, best first.
        """
        feats = self.model.extract_feat(images)
        boxes, scores, labels = self.candidates(self.model.bbox_head(feats), sizes)
        if self.min_bbox_size >= 0:
            w, h = boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1]
            large = (w > self.min_bbox_size) & (h > self.min_bbox_size)
            scores = scores.masked_fill(~large, -1.0)
        # Boxes of different classes are moved apart, so that one NMS serves all classes.
        distance = boxes.flatten(1).max(1).values + 1
        apart = boxes + (labels.to(boxes) * distance[:, None])[..., None]
        kept = _NMS.apply(apart, scores[:, None], self.max_per_img, self.iou_threshold)
        image, box = kept[:, 0], kept[:, 2]
        return boxes[image, box], scores[image, box], labels[image, box], image

    def candidates(self, outs: Sequence[Sequence[Tensor]],
                   sizes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The best (place, class) pairs of all levels: boxes (N, K, 4), scores and labels (N, K).

        Pairs below the threshold, and those that fill up levels with too few places, have score -1.
        """
        head = self.model.bbox_head
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
            score, index, label = self._best(_flat(cls, head.cls_out_channels))
            n, k = index.shape
            pred = _flat(pred, pred.shape[1] // head.prior_generator.num_base_priors[i])
            pred = pred.gather(1, index[..., None].expand(-1, -1, pred.shape[-1])).flatten(0, 1)
            if isinstance(head, GFLHead):
                pred = head.integral(pred) * head.prior_generator.strides[i][0]
            boxes = head.bbox_coder.decode(prior[index.flatten()], pred).view(n, k, 4)
            if factor is not None:
                factor = _flat(factor, 1).squeeze(-1).gather(1, index).sigmoid()
                score = torch.where(score > 0, score * factor, score)
            levels.append((boxes, score, label))
        boxes, scores, labels = (torch.cat(parts, 1) for parts in zip(*levels, strict=True))
        limits = sizes.flip(1).to(boxes).repeat(1, 2)[:, None]  # N 1 (w h w h)
        return torch.minimum(boxes.clamp(min=0), limits), scores, labels

    def _best(self, logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Score, place and class (N, nms_pre) of the best of the logits (N, places, channels)."""
        if self.model.bbox_head.use_sigmoid_cls:
            scores = logits.sigmoid()
        else:
            scores = logits.softmax(-1)[..., :-1]
        classes = scores.shape[-1]
        scores = scores.flatten(1)
        scores = scores.masked_fill(scores <= self.score_thr, -1.0)
        # Filled up, so that there are always enough to choose from.
        best, index = F.pad(scores, (0, self.nms_pre), value=-1.0).topk(self.nms_pre)
        index = index.masked_fill(best < 0, 0)
        return best, torch.div(index, classes, rounding_mode='floor'), index % classes


class _NMS(torch.autograd.Function):
    """ONNX's NonMaxSuppression; in PyTorch mmcv's, which gives the same."""

    @staticmethod
    def forward(ctx: Any, boxes: Tensor, scores: Tensor, count: int,
                iou_threshold: float) -> Tensor:
        """Return (M, 3) indices of image, class (0) and box, from (N, K, 4) and (N, 1, K)."""
        if torch.onnx.is_in_onnx_export():  # any indices do: the graph gets the node below
            return torch.zeros(boxes.shape[0], 3, dtype=torch.int64)
        kept = []
        for i, (box, score) in enumerate(zip(boxes, scores[:, 0], strict=True)):
            valid = (score > 0).nonzero().squeeze(1)
            index = valid
            if len(valid):
                index = valid[nms(box[valid], score[valid], iou_threshold)[1][:count]]
            zero = torch.zeros_like(index)
            kept.append(torch.stack([zero + i, zero, index], 1))
        return torch.cat(kept)

    @staticmethod
    def symbolic(g: Any, boxes: Any, scores: Any, count: int, iou_threshold: float) -> Any:
        """Write the node into the graph."""
        constants = (torch.tensor([count]), torch.tensor([iou_threshold]), torch.tensor([0.0]))
        return g.op('NonMaxSuppression', boxes, scores,
                    *(g.op('Constant', value_t=value) for value in constants))


def _flat(x: Tensor, channels: int) -> Tensor:
    """A head's output (N, A * channels, H, W) as (N, H * W * A, channels)."""
    return x.permute(0, 2, 3, 1).flatten(1).unflatten(1, (-1, channels))
