"""The features of regions, by an RoIAlign that a traced graph keeps as a node."""

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.ops import RoIAlign
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
from torch import Tensor


def require_exportable(extractor: Any) -> None:
    """Refuse an extractor that `roi_features` cannot stand for.

    Raises:
        ValueError: If it does more than pooling each region from one level by RoIAlign.
    """
    if type(extractor) is not SingleRoIExtractor:
        raise ValueError(f'{type(extractor).__name__} cannot be exported; SingleRoIExtractor can')
    for layer in extractor.roi_layers:
        if not isinstance(layer, RoIAlign) or layer.pool_mode != 'avg':
            raise ValueError(f'a roi_layer {layer} cannot be exported; RoIAlign of '
                             "pool_mode='avg' can")


def roi_features(extractor: SingleRoIExtractor, feats: Sequence[Tensor], boxes: Tensor,
                 image: Tensor) -> Tensor:
    """What an extractor's ``forward`` gives, without a branch on how many regions a level has.

    Args:
        extractor: The extractor.
        feats: The feature maps (N, C, H, W) of the levels; those that it wants are used.
        boxes: The regions (M, 4) as x1, y1, x2, y2 in pixels.
        image: The image (M,) of each.

    Returns:
        (M, C, h, w).
    """
    feats, layers = feats[:extractor.num_inputs], extractor.roi_layers
    if len(feats) == 1:
        return _Node.apply(feats[0], boxes, image, layers[0])
    rois = torch.cat([image[:, None].to(boxes), boxes], 1)
    levels = extractor.map_roi_levels(rois, len(feats))
    chosen = [(levels == i).nonzero().squeeze(1) for i in range(len(feats))]
    pooled = [_Node.apply(x, boxes[index], image[index], layer)
              for x, index, layer in zip(feats, chosen, layers, strict=True)]
    order = torch.cat(chosen)
    place = torch.zeros_like(order).scatter(0, order, torch.arange(order.shape[0]))
    return torch.cat(pooled)[place]


class _Node(torch.autograd.Function):
    """ONNX's RoiAlign; in PyTorch mmcv's, which gives the same.

    What mmcv itself would write is a node as it was before set 16, which shifted nothing.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, boxes: Tensor, image: Tensor, layer: RoIAlign) -> Tensor:
        """Pool from (N, C, H, W) into (M, C, h, w)."""
        if torch.onnx.is_in_onnx_export():  # any features do: the graph gets the node below
            return x.new_zeros(boxes.shape[0], x.shape[1], *layer.output_size)
        return layer(x, torch.cat([image[:, None].to(boxes), boxes], 1))

    @staticmethod
    def symbolic(g: Any, x: Any, boxes: Any, image: Any, layer: RoIAlign) -> Any:
        """Write the node into the graph."""
        height, width = layer.output_size
        aligned = 'half_pixel' if layer.aligned else 'output_half_pixel'
        return g.op('RoiAlign', x, boxes, image, output_height_i=height, output_width_i=width,
                    spatial_scale_f=layer.spatial_scale,
                    sampling_ratio_i=max(layer.sampling_ratio, 0), mode_s='avg',
                    coordinate_transformation_mode_s=aligned)
