"""Non-maximum suppression that a traced graph keeps as a node."""

from typing import Any, NamedTuple

import torch
from mmcv.ops import nms
from torch import Tensor

#: The score of what fills up an image's candidates, and of those that are ruled out.
NO_SCORE = -1.0
#: What mmdet's configs may say of an NMS without a change to its result.
_SETTINGS = ('type', 'iou_threshold', 'class_agnostic', 'split_thr')


class Suppression(NamedTuple):
    """What a ``test_cfg`` says of NMS and of what is left after it.

    Attributes:
        iou_threshold: Of two boxes that overlap by more, the worse one goes.
        class_agnostic: Whether boxes of different classes suppress each other.
        limit: How many boxes an image keeps.
        min_size: Boxes need a larger width and height in pixels; negative for no such limit.
    """

    iou_threshold: float
    class_agnostic: bool
    limit: int
    min_size: float

    @classmethod
    def of(cls, cfg: Any, where: str = 'test_cfg') -> 'Suppression':
        """Read it from a ``test_cfg``.

        Args:
            cfg: A mapping with ``nms``, ``max_per_img`` and maybe ``min_bbox_size``.
            where: Its name, for messages.

        Raises:
            ValueError: If it asks for another NMS than the plain one.
        """
        kind = cfg.nms.get('type', 'nms')
        if kind != 'nms':
            raise ValueError(f'{where}.nms.type must be nms to be exported, got {kind!r}')
        if 'iou_threshold' not in cfg.nms or set(cfg.nms) - set(_SETTINGS):
            raise ValueError(f'{where}.nms must have iou_threshold, and may have {_SETTINGS} to be '
                             f'exported, got {dict(cfg.nms)}')
        if cfg.get('max_per_img', -1) < 1:
            raise ValueError(f'{where}.max_per_img must be above 0 to be exported, got '
                             f'{cfg.get("max_per_img", -1)}')
        return cls(float(cfg.nms.iou_threshold), bool(cfg.nms.get('class_agnostic', False)),
                   int(cfg.max_per_img), float(cfg.get('min_bbox_size', -1)))

    def __call__(self, boxes: Tensor, scores: Tensor, groups: Tensor) -> tuple[Tensor, Tensor]:
        """Choose boxes, each of which suppresses only those of its own group.

        Args:
            boxes: (N, K, 4) as x1, y1, x2, y2.
            scores: (N, K); `NO_SCORE` for what is no candidate.
            groups: Integers (N, K), such as classes; or (K,), the same in all images.

        Returns:
            Image and index in 0 to K - 1 of each of those that are left, (M,) both; grouped by
            image, best first.
        """
        if self.min_size >= 0:
            sides = boxes[..., 2:] - boxes[..., :2]
            scores = scores.masked_fill(~(sides > self.min_size).all(-1), NO_SCORE)
        if not self.class_agnostic:
            # Boxes of different groups are moved apart, so that one NMS serves all.
            distance = boxes.flatten(1).max(1).values + 1
            boxes = boxes + (groups.to(boxes) * distance[:, None])[..., None]
        kept = _Node.apply(boxes, scores[:, None], self.limit, self.iou_threshold)
        return kept[:, 0], kept[:, 2]


class _Node(torch.autograd.Function):
    """ONNX's NonMaxSuppression; in PyTorch mmcv's, which gives the same."""

    @staticmethod
    def forward(ctx: Any, boxes: Tensor, scores: Tensor, count: int,
                iou_threshold: float) -> Tensor:
        """Return (M, 3) indices of image, class (0) and box, from (N, K, 4) and (N, 1, K)."""
        if torch.onnx.is_in_onnx_export():  # any indices do: the graph gets the node below
            return torch.zeros(boxes.shape[0], 3, dtype=torch.int64)
        kept = []
        for i, (box, score) in enumerate(zip(boxes, scores[:, 0], strict=True)):
            index = (score > NO_SCORE / 2).nonzero().squeeze(1)
            if len(index):
                index = index[nms(box[index], score[index], iou_threshold)[1][:count]]
            zero = torch.zeros_like(index)
            kept.append(torch.stack([zero + i, zero, index], 1))
        return torch.cat(kept)

    @staticmethod
    def symbolic(g: Any, boxes: Any, scores: Any, count: int, iou_threshold: float) -> Any:
        """Write the node into the graph."""
        constants = (torch.tensor([count]), torch.tensor([iou_threshold]),
                     torch.tensor([NO_SCORE / 2]))
        return g.op('NonMaxSuppression', boxes, scores,
                    *(g.op('Constant', value_t=value) for value in constants))


def best(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The ``count`` highest scores of each image, and where they are.

    Args:
        scores: (N, K); K may be below ``count``.
        count: How many.

    Returns:
        Scores and indices in 0 to K - 1, (N, count) both; where there are too few, and where the
        score is `NO_SCORE`, these are `NO_SCORE` and 0.
    """
    padded = torch.nn.functional.pad(scores, (0, count), value=NO_SCORE)
    values, index = padded.topk(count)
    return values, index.masked_fill(values < NO_SCORE / 2, 0)


def inside(boxes: Tensor, sizes: Tensor) -> Tensor:
    """Cut boxes (N, K, 4) at the borders of their images, whose heights and widths are (N, 2)."""
    limits = sizes.flip(1).to(boxes).repeat(1, 2)[:, None]  # N 1 (w h w h)
    return torch.minimum(boxes.clamp(min=0), limits)
