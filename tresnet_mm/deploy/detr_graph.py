"""Deformable DETR and DINO as functions of tensors."""

from collections.abc import Sequence
from typing import Any

import torch
from mmdet.models.dense_heads import DeformableDETRHead
from mmdet.models.detectors import DeformableDETR
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from torch import Tensor

from .export_graph import DetectionGraph
from .non_max_suppression import inside

#: The methods of a head that say what becomes of its outputs.
_METHODS = ('predict_by_feat', '_predict_by_feat_single')


class DetrGraph(DetectionGraph):
    """A deformable DETR as a function of tensors: the best ``max_per_img`` queries, without NMS.

    Batch and image size are open, but as in mmdet the feature maps must have as many cells as the
    model has queries where it takes these from them: DINO's 900 need some 208 x 208 pixels.

    Args:
        model: A ``DINO`` or ``DeformableDETR``.

    Raises:
        ValueError: If its head makes more of its outputs than mmdet's own.
    """

    def __init__(self, model: DeformableDETR) -> None:
        super().__init__()
        head: Any = model.bbox_head
        if any(getattr(type(head), method) is not getattr(DeformableDETRHead, method)
               for method in _METHODS):
            raise ValueError(f'{type(head).__name__} has a post-processing of its own, which '
                             'cannot be exported; that of DeformableDETRHead can')
        self.model = model
        self.limit = int(head.test_cfg.get('max_per_img', model.num_queries))

    def forward(self, images: Tensor, sizes: Tensor) -> tuple[Tensor, ...]:
        """Detect, as `DetectionGraph` says."""
        model: Any = self.model
        feats = model.extract_feat(images)
        # All is the model's own but for this, which asks the samples for their sizes one by one.
        model.pre_transformer = lambda feats, samples: self.flatten(feats, sizes, images)
        try:
            outs = model.forward_transformer(feats, None)
        finally:
            del model.pre_transformer
        scores, boxes = (layers[-1] for layers in model.bbox_head(**outs))
        score, index, label = self._best(scores)
        boxes = boxes.gather(1, index[..., None].expand(-1, -1, 4))
        boxes = bbox_cxcywh_to_xyxy(boxes) * sizes.flip(1).to(boxes).repeat(1, 2)[:, None]
        image = torch.arange(images.shape[0])[:, None].expand(-1, self.limit)
        return inside(boxes, sizes).flatten(0, 1), score.flatten(), label.flatten(), image.flatten()

    def flatten(self, feats: Sequence[Tensor], sizes: Tensor, images: Tensor) -> tuple[dict, dict]:
        """What ``DeformableDETR.pre_transformer`` gives encoder and decoder."""
        model: Any = self.model
        masks = [padding(sizes, images.shape[-2:], x.shape[-2:]) for x in feats]
        shapes = torch.stack([torch._shape_as_tensor(x)[2:] for x in feats])
        mask = torch.cat([x.flatten(1) for x in masks], 1)
        places = [model.positional_encoding(x) + level[:, None, None]
                  for x, level in zip(masks, model.level_embed, strict=True)]
        both: dict[str, Any] = dict(
            spatial_shapes=shapes,
            level_start_index=torch.cat([shapes.new_zeros(1), shapes.prod(1).cumsum(0)[:-1]]),
            valid_ratios=torch.stack([model.get_valid_ratio(x) for x in masks], 1))
        of_encoder = dict(feat=_sequence(feats), feat_mask=mask, feat_pos=_sequence(places))
        return {**of_encoder, **both}, dict(memory_mask=mask, **both)

    def _best(self, logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Score, query and class (N, max_per_img) of the best of the logits (N, queries, C)."""
        if self.model.bbox_head.loss_cls.use_sigmoid:
            score, index = logits.sigmoid().flatten(1).topk(self.limit)
            classes = logits.shape[-1]
            return score, torch.div(index, classes, rounding_mode='floor'), index % classes
        score, label = logits.softmax(-1)[..., :-1].max(-1)
        score, index = score.topk(self.limit)
        return score, index, label.gather(1, index)


def _sequence(maps: Sequence[Tensor]) -> Tensor:
    """The cells of all levels (N, C, H, W) one after the other: (N, cells, C)."""
    return torch.cat([x.flatten(2).transpose(1, 2) for x in maps], 1)


def padding(sizes: Tensor, input_shape: Sequence[int], feature_shape: Sequence[int]) -> Tensor:
    """Which cells of a feature map are no part of the image, by the pixel at each one's corner.

    As ``F.interpolate`` tells it of a mask of the pixels.

    Args:
        sizes: Integers (N, 2), height and width of each image.
        input_shape: Height and width of the batch in pixels.
        feature_shape: Height and width of the feature map in cells.

    Returns:
        Boolean (N, height, width).
    """
    outside = []
    for lengths, length, cells in zip(sizes.unbind(1), input_shape, feature_shape, strict=True):
        pixel = (torch.arange(cells) * (length / cells)).floor()
        outside.append(pixel >= lengths[:, None])  # N, cells
    return outside[0][:, :, None] | outside[1][:, None]


def _linspace(g: Any, start: Any, end: Any, steps: Any, *rest: Any) -> Any:
    """``torch.linspace`` in a graph; PyTorch's own divides by zero for a level of one cell."""
    start, end, steps = (g.op('Cast', x, to_i=1) for x in (start, end, steps))
    zero, one = (g.op('Constant', value_t=torch.tensor(float(x))) for x in (0, 1))
    gaps = g.op('Max', g.op('Sub', steps, one), one)
    step = g.op('Div', g.op('Sub', end, start), gaps)
    return g.op('Add', g.op('Mul', g.op('Range', zero, steps, one), step), start)


torch.onnx.register_custom_op_symbolic('aten::linspace', _linspace, 11)
