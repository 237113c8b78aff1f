"""Global average pooling and a linear layer."""

from collections.abc import Sequence
from typing import Any

import torch.nn as nn
from mmengine.registry import MODELS
from torch import Tensor

from .multilabel_head import MultiLabelHead


@MODELS.register_module()
class MultiLabelLinearHead(MultiLabelHead):
    """Mean over space, then one linear layer (the head of ASL's published networks).

    Args:
        num_classes: Number of classes.
        in_channels: Channels of the last feature map.
        bottleneck_channels: If given, a linear layer to that many channels comes first, without
            an activation between (the published OpenImages network has 512).
        init_cfg: Default: linear layers N(0, 0.01), biases 0.
        **kwargs: ``loss``, ``thresholds``, ``class_weight``, ``check_finite`` of `MultiLabelHead`.
    """

    def __init__(self, num_classes: int, in_channels: int, bottleneck_channels: int | None = None,
                 init_cfg: dict | list | None = None, **kwargs: Any) -> None:
        if init_cfg is None:
            init_cfg = dict(type='Normal', layer='Linear', std=0.01)
        super().__init__(num_classes, in_channels, init_cfg=init_cfg, **kwargs)
        if bottleneck_channels is not None:
            self.embedding = nn.Linear(in_channels, bottleneck_channels)
        self.fc = nn.Linear(bottleneck_channels or in_channels, num_classes)
        self.bottleneck_channels = bottleneck_channels

    def forward(self, feats: Sequence[Tensor] | Tensor, valid: Tensor | None = None) -> Tensor:
        """Compute logits, see `MultiLabelHead.forward`."""
        x = self.last_map(feats)
        if valid is None:
            x = x.mean(dim=(2, 3))
        else:
            weights = valid.to(x).unsqueeze(1)  # N, 1, H, W
            x = (x * weights).sum(dim=(2, 3)) / weights.sum(dim=(2, 3))
        return self._classify(x)

    def maps_of_cells(self, x: Tensor, classes: Sequence[int], valid: Tensor | None) -> Tensor:
        """Logits of each cell by itself (class activation maps, arXiv 1512.04150).

        The head is affine, with a bottleneck too, so that it can be applied before the mean as well
        as after it: the mean of the cells' logits is the image's logit, nothing is left over.
        """
        logits = self._classify(x.movedim(1, -1))  # N, H, W, classes
        return logits[..., list(classes)].movedim(-1, 1)

    def _classify(self, x: Tensor) -> Tensor:
        """Map features (..., in_channels) to logits (..., num_classes)."""
        return self.fc(x if self.bottleneck_channels is None else self.embedding(x))
