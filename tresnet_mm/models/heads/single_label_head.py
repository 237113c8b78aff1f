"""The linear head for images of one class each."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.registry import MODELS
from mmengine.structures import BaseDataElement
from torch import Tensor

from .multilabel_linear_head import MultiLabelLinearHead
from .not_finite_images import image_name, not_finite_message

#: Cross entropy with label smoothing, which ASL's loss is without its focusing.
DEFAULT_LOSS = dict(
    type='AsymmetricLossSingleLabel', gamma_neg=0, gamma_pos=0, label_smoothing=0.1)


@MODELS.register_module()
class SingleLabelHead(MultiLabelLinearHead):
    """Mean over space, one linear layer and a softmax: exactly one class an image.

    The layers, and their names, are those of `MultiLabelLinearHead`, so that the published ImageNet
    weights load into it. What differs is the loss, and that the scores of an image sum to 1.

    Args:
        num_classes: Number of classes.
        in_channels: Channels of the last feature map.
        loss: Config of a loss, called as ``loss(logits, targets)`` with integer targets (N,), such
            as mmdet's ``CrossEntropyLoss``. Default: cross entropy with a label smoothing of 0.1
            (`AsymmetricLossSingleLabel` with gammas of 0).
        thresholds: Not for this head: the class of highest score is the prediction.
        **kwargs: ``bottleneck_channels``, ``init_cfg``, ``check_finite``, ``class_weight`` of
            `MultiLabelLinearHead`.

    Raises:
        ValueError: If there are thresholds, or as `MultiLabelLinearHead`.
    """

    def __init__(self, num_classes: int, in_channels: int, loss: dict | None = None,
                 thresholds: None = None, **kwargs: Any) -> None:
        if thresholds is not None:
            raise ValueError('SingleLabelHead takes no thresholds: it predicts the class of '
                             f'highest score, got {thresholds!r}')
        super().__init__(num_classes, in_channels, loss=loss or DEFAULT_LOSS, calibrated=False,
                         **kwargs)

    def loss(self, feats: Sequence[Tensor] | Tensor, data_samples: Sequence[BaseDataElement],
             inputs: Tensor | None = None) -> dict[str, Tensor]:
        """Return ``dict(loss_cls=...)``.

        Args:
            feats: As in `forward`.
            data_samples: One per image with ``gt_label``, a class index as a tensor of one number.
            inputs: As in `logits`.

        Raises:
            ValueError: If a label is missing or no class of the head, or logits are not finite.
        """
        logits = self.logits(feats, data_samples, inputs)
        targets = self.stack_targets(data_samples).to(logits.device)
        if self.check_finite and not logits.isfinite().all():
            raise ValueError(
                not_finite_message(type(self).__name__, logits, data_samples, inputs))
        if self.class_weight is None:
            return dict(loss_cls=self.loss_module(logits, targets))
        self.class_weight = self.class_weight.to(logits.device)  # stays there for the next step
        return dict(loss_cls=self.loss_module(logits, targets, self.class_weight[targets]))

    def probabilities(self, logits: Tensor) -> Tensor:
        """Map logits (N, num_classes) to probabilities that sum to 1."""
        return logits.softmax(dim=1)

    def set_scores(self, data_samples: Sequence[BaseDataElement], scores: Tensor) -> None:
        """Store the probabilities (N, num_classes) of N images and the class of the highest.

        ``pred_label`` is a tensor of one index, as ``gt_label`` is.
        """
        for sample, row, best in zip(data_samples, scores, scores.argmax(1, True), strict=True):
            sample.pred_scores, sample.pred_label = row, best

    def stack_targets(self, data_samples: Sequence[BaseDataElement]) -> Tensor:
        """Return the class indices (N,) of a batch, checked."""
        targets = []
        for sample in data_samples:
            name = image_name(sample)
            if 'gt_label' not in sample:
                raise ValueError(f'{name} has no gt_label; SingleLabelHead needs '
                                 'PackSingleLabelInputs at the end of the pipeline')
            target = torch.as_tensor(sample.gt_label).reshape(-1)
            if target.numel() != 1 or target.is_floating_point():
                raise ValueError(f'gt_label of {name} must be one class index, got '
                                 f'{sample.gt_label}')
            if target.device.type == 'cpu' and not 0 <= int(target) < self.num_classes:
                raise ValueError(f'gt_label of {name} is {int(target)}, but SingleLabelHead has '
                                 f'num_classes={self.num_classes}; set num_classes to the number '
                                 'of classes of the dataset')
            targets.append(target)
        return torch.cat(targets).long()
