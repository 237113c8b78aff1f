"""Logits of every place of an image, of which each class takes the best."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmengine.registry import MODELS
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from .multilabel_head import MultiLabelHead
from .valid_cells import valid_cells


@MODELS.register_module()
class MultiLabelDenseHead(MultiLabelHead):
    """Convolutions and a logit for every class in each cell; the highest is the image's.

    Built like the classifying branch of a dense detector, and shared by all feature maps as it is,
    but learning from the labels of whole images alone: one place that shows a class is enough. A
    mean over the image, as `MultiLabelLinearHead` takes, hides what covers a few cells of many.

    Args:
        num_classes: Number of classes.
        in_channels: Channels of every feature map.
        stacked_convs: 3x3 convolutions before the one that gives the logits.
        feat_channels: Their channels; default: ``in_channels``.
        norm_cfg: Their normalisation; None for none.
        init_cfg: Default: the logits' layer N(0, 0.01), its bias 0; the other layers their own.
        **kwargs: ``features``, ``loss``, ``thresholds``, ``class_weight``, ``check_finite`` of
            `MultiLabelHead`. In a joint model ``features='neck'`` gives maps of equal channels.

    Raises:
        ValueError: If ``stacked_convs`` is negative, or as `MultiLabelHead`.
    """

    map_kind = 'best'

    def __init__(self, num_classes: int, in_channels: int, stacked_convs: int = 2,
                 feat_channels: int | None = None,
                 norm_cfg: dict | None = dict(type='GN', num_groups=16),  # noqa: B006, C408
                 init_cfg: dict | list | None = None, **kwargs: Any) -> None:
        if init_cfg is None:
            init_cfg = dict(type='Normal', std=0.01, override=dict(name='conv_cls'))
        super().__init__(num_classes, in_channels, init_cfg=init_cfg, **kwargs)
        if stacked_convs < 0:
            raise ValueError(f'stacked_convs must be at least 0, got {stacked_convs}')
        width = [in_channels] + [feat_channels or in_channels] * stacked_convs
        self.convs = nn.Sequential(*(
            ConvModule(before, after, 3, padding=1, norm_cfg=norm_cfg)
            for before, after in zip(width, width[1:], strict=False)))
        self.conv_cls = nn.Conv2d(width[-1], num_classes, 1)

    def forward(self, feats: Sequence[Tensor] | Tensor, valid: Tensor | None = None) -> Tensor:
        """Compute logits.

        Args:
            feats: Feature maps (N, in_channels, H, W) of any number and size.
            valid: Boolean (N, L), cells that are not padding, of one map after the other, each
                row by row; None means all.

        Returns:
            Logits (N, num_classes).
        """
        cells = torch.cat([logits.flatten(2) for logits in self.logits_of_cells(feats)], dim=2)
        if valid is not None:
            cells = cells.masked_fill(~valid.unsqueeze(1), float('-inf'))
        return cells.amax(dim=2)

    def logits_of_cells(self, feats: Sequence[Tensor] | Tensor) -> list[Tensor]:
        """The logits (N, num_classes, H, W) of every cell of each feature map.

        Raises:
            ValueError: If a feature map has other channels than the head.
        """
        maps = _listed(feats)
        if any(x.ndim != 4 or x.shape[1] != self.in_channels for x in maps):
            raise ValueError(
                f'{type(self).__name__} expects feature maps of {self.in_channels} channels each, '
                f'got {[tuple(x.shape) for x in maps]}; a neck has such: of a joint model by '
                "features='neck' of the head, of a classifier by its neck")
        return [self.conv_cls(self.convs(x)) for x in maps]

    def class_maps(self, feats: Sequence[Tensor] | Tensor, classes: Sequence[int],
                   data_samples: Sequence[BaseDataElement] | None = None,
                   inputs: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """The logits of the first map's cells, or of a coarser map's where they are higher.

        See `MultiLabelHead.class_maps`.
        """
        self.require_class_indices(classes)
        levels = [logits[:, list(classes)] for logits in self.logits_of_cells(feats)]
        size = levels[0].shape[-2:]
        masks = self._valid_of_maps(levels, data_samples, inputs)
        maps = torch.stack([
            F.interpolate(x if mask is None else x.masked_fill(~mask[:, None], float('-inf')), size)
            for x, mask in zip(levels, masks, strict=True)]).amax(dim=0)
        finest = masks[0]
        return (maps if finest is None else maps.masked_fill(~finest[:, None], 0)), finest

    def _valid(self, feats: Sequence[Tensor] | Tensor,
               data_samples: Sequence[BaseDataElement] | Tensor | None,
               inputs: Tensor | None) -> Tensor | None:
        known = [mask.flatten(1) for mask in
                 self._valid_of_maps(_listed(feats), data_samples, inputs) if mask is not None]
        return torch.cat(known, dim=1) if known else None  # those of all maps, or of none

    @staticmethod
    def _valid_of_maps(maps: Sequence[Tensor],
                       data_samples: Sequence[BaseDataElement] | Tensor | None,
                       inputs: Tensor | None) -> list[Tensor | None]:
        if inputs is None:
            return [None] * len(maps)
        return [valid_cells(data_samples, inputs.shape[-2:], x.shape[-2:], x.device) for x in maps]


def _listed(feats: Sequence[Tensor] | Tensor) -> list[Tensor]:
    return [feats] if isinstance(feats, Tensor) else list(feats)
