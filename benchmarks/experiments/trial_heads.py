"""Image-level heads that were tried for joint models, beside those of the package."""
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.registry import MODELS
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from tresnet_mm.models.heads import MLDecoderHead, MultiLabelHead
from tresnet_mm.models.heads.valid_cells import valid_cells


@MODELS.register_module()
class TrialHead(MultiLabelHead):
    """Feature maps pooled, then a linear layer; or logits of every cell, then pooled.

    Args:
        num_classes: Number of classes.
        in_channels: Channels of the last feature map.
        channels: Those of the last feature maps that are read.
        pooling: 'mean', 'max', 'both' (side by side) or 'lse', the logarithm of the mean
            exponential.
        dense: Logits of every cell of all maps, then pooled over all of them; otherwise each map
            is pooled, and one linear layer reads them.
        convs: 3x3 convolutions before, shared by the maps, each with group norm and ReLU.
        detach: The detector learns nothing from this head.
        prior: The scores' start; 0.5 if None.
        **kwargs: Of `MultiLabelHead`.
    """

    def __init__(self, num_classes: int, in_channels: int, channels: Sequence[int],
                 pooling: str = 'mean', dense: bool = False, convs: int = 0, detach: bool = False,
                 prior: float | None = None, **kwargs: Any) -> None:
        super().__init__(num_classes, in_channels, **kwargs)
        self.maps, self.pooling, self.dense, self.detach = len(channels), pooling, dense, detach
        width = channels[0]
        self.convs = nn.Sequential(*(
            layer for _ in range(convs) for layer in (
                nn.Conv2d(width, width, 3, padding=1, bias=False), nn.GroupNorm(16, width),
                nn.ReLU())))
        self.fc: nn.Module = nn.Conv2d(width, num_classes, 1) if dense else nn.Linear(
            sum(channels) * (2 if pooling == 'both' else 1), num_classes)
        nn.init.normal_(self.fc.weight, std=0.01)
        nn.init.constant_(self.fc.bias, 0 if prior is None else -math.log(1 / prior - 1))

    def logits(self, feats: Sequence[Tensor] | Tensor,
               data_samples: Sequence[BaseDataElement] | None = None,
               inputs: Tensor | None = None) -> Tensor:
        """Compute logits, see `MultiLabelHead.logits`."""
        maps = [feats] if isinstance(feats, Tensor) else list(feats)[-self.maps:]
        masks = [_mask(x, data_samples, inputs) for x in maps]
        maps = [self.convs(x.detach() if self.detach else x) for x in maps]
        if self.dense:
            cells = torch.cat([self.fc(x).flatten(2) for x in maps], dim=2)
            return self._pool(cells, torch.cat(masks, dim=1))
        return self.fc(torch.cat([self._pool(x.flatten(2), mask)
                                  for x, mask in zip(maps, masks, strict=True)], dim=1))

    def _pool(self, x: Tensor, mask: Tensor) -> Tensor:
        """(N, C, L) of cells, of which (N, L) count, to (N, C), or (N, 2 C) by both."""
        inside = x.masked_fill(~mask.unsqueeze(1), float('-inf'))
        count = mask.sum(dim=1, keepdim=True)
        if self.pooling == 'max':
            return inside.amax(dim=2)
        if self.pooling == 'lse':
            return inside.logsumexp(dim=2) - count.log()
        mean = (x * mask.to(x).unsqueeze(1)).sum(dim=2) / count
        return mean if self.pooling == 'mean' else torch.cat([mean, inside.amax(dim=2)], dim=1)


@MODELS.register_module()
class TrialDecoder(MLDecoderHead):
    """ML-Decoder on a feature map of choice, from which the detector learns nothing.

    Args:
        *args: Of `MLDecoderHead`.
        level: Which of the feature maps.
        detach: Whether the detector learns nothing from this head.
        **kwargs: Of `MLDecoderHead`.
    """

    def __init__(self, *args: Any, level: int = -1, detach: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.level, self.detach = level, detach

    def logits(self, feats: Sequence[Tensor] | Tensor,
               data_samples: Sequence[BaseDataElement] | None = None,
               inputs: Tensor | None = None) -> Tensor:
        """Compute logits, see `MultiLabelHead.logits`."""
        x = feats[self.level]
        return super().logits(x.detach() if self.detach else x, data_samples, inputs)


def _mask(x: Tensor, data_samples: Sequence[BaseDataElement] | None,
          inputs: Tensor | None) -> Tensor:
    """Which cells of a map are no padding: boolean (N, L)."""
    known = None if inputs is None else valid_cells(
        data_samples, inputs.shape[-2:], x.shape[-2:], x.device)
    return torch.ones_like(x[:, 0], dtype=torch.bool).flatten(1) if known is None \
        else known.flatten(1)
