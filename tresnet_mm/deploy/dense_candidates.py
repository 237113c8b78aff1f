"""What mmdet's dense heads propose, for a whole batch and before NMS."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from mmdet.models.dense_heads import GFLHead
from torch import Tensor

from .non_max_suppression import NO_SCORE, best, inside


class Candidates(NamedTuple):
    """Boxes of a batch, as many for each image.

    Attributes:
        boxes: (N, K, 4) as x1, y1, x2, y2 in pixels.
        scores: (N, K), probabilities; `NO_SCORE` where there is no candidate.
        labels: (N, K), classes.
        levels: (N, K), the levels of the pyramid that they are of.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    levels: Tensor


def require_nms_pre(cfg: Any, where: str = 'test_cfg') -> int:
    """The ``nms_pre`` of a ``test_cfg``, which is called ``where`` in the message.

    Raises:
        ValueError: If all places are to be taken, however many they are.
    """
    if cfg.get('nms_pre', -1) < 1:
        raise ValueError(f'{where}.nms_pre must be above 0 to be exported, got '
                         f'{cfg.get("nms_pre", -1)}')
    return int(cfg.nms_pre)


def dense_candidates(head: Any, feats: Sequence[Tensor], sizes: Tensor, nms_pre: int,
                     score_thr: float) -> Candidates:
    """The best pairs of place and class of each level.

    Args:
        head: A dense head whose boxes are decoded as in ``BaseDenseHead``, or a ``GFLHead``.
        feats: The feature maps (N, C, H, W) of the levels.
        sizes: Integers (N, 2), height and width of each image, which boxes are cut at.
        nms_pre: How many pairs of a level are taken.
        score_thr: What their probability must be above.
    """
    outs = head(feats)
    cls_scores, bbox_preds = outs[0], outs[1]
    factors = outs[2] if len(outs) > 2 else [None] * len(cls_scores)
    priors = head.prior_generator.grid_priors(
        [x.shape[-2:] for x in cls_scores], dtype=cls_scores[0].dtype, device=cls_scores[0].device)
    levels = []
    for i, (cls, pred, factor, prior) in enumerate(
            zip(cls_scores, bbox_preds, factors, priors, strict=True)):
        scores = _probabilities(head, _flat(cls, head.cls_out_channels))
        classes = scores.shape[-1]
        scores = scores.flatten(1)
        score, index = best(scores.masked_fill(scores <= score_thr, NO_SCORE), nms_pre)
        label = index % classes
        index = torch.div(index, classes, rounding_mode='floor')
        pred = _flat(pred, pred.shape[1] // head.prior_generator.num_base_priors[i])
        if factor is not None:
            factor = _flat(factor, 1).squeeze(-1).gather(1, index).sigmoid()
            score = torch.where(score < NO_SCORE / 2, score, score * factor)
        levels.append((_decode(head, prior, pred, index, i), score, label,
                       torch.full_like(label, i)))
    boxes, *rest = (torch.cat(parts, 1) for parts in zip(*levels, strict=True))
    return Candidates(inside(boxes, sizes) if head.bbox_coder.clip_border else boxes, *rest)


def _flat(x: Tensor, channels: int) -> Tensor:
    """A head's output (N, A * channels, H, W) as (N, H * W * A, channels)."""
    return x.permute(0, 2, 3, 1).flatten(1).unflatten(1, (-1, channels))


def _probabilities(head: Any, logits: Tensor) -> Tensor:
    """The classes' scores (N, K, classes), without that of the background, of (N, K, channels)."""
    if head.use_sigmoid_cls:
        return logits.sigmoid()
    return logits.softmax(-1)[..., :-1]


def _decode(head: Any, prior: Tensor, pred: Tensor, index: Tensor, level: int) -> Tensor:
    """The boxes (N, K, 4) of chosen places of a level, not cut at the borders of the image.

    Args:
        head: The head.
        prior: The level's anchors or points (places, ...).
        pred: What it predicts there, (N, places, ...).
        index: The chosen places, (N, K).
        level: Index of the level.
    """
    n, k = index.shape
    pred = pred.gather(1, index[..., None].expand(-1, -1, pred.shape[-1])).flatten(0, 1)
    if isinstance(head, GFLHead):
        prior = head.anchor_center(prior)
        pred = head.integral(pred) * head.prior_generator.strides[level][0]
    return head.bbox_coder.decode(prior[index.flatten()], pred).view(n, k, 4)
