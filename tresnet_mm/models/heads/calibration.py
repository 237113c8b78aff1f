"""What was fitted to a trained head's logits, and travels with its weights."""

from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from ...checkpoint import CheckpointMismatch

#: What a checkpoint may hold below the head's ``calibration.``.
FITTED = ('scale', 'bias', 'thresholds')


class Calibration(nn.Module):
    """Scales logits by class, as far as the loaded checkpoint says how.

    Its buffers are there only where they were fitted, so that a checkpoint without them lacks
    nothing, and a model made from a plain config takes those of a checkpoint which has them.

    Args:
        num_classes: Number of classes.

    Attributes:
        holds (bool): Whether what was fitted is that of the weights.
        scale (Tensor | None): (num_classes,), positive.
        bias (Tensor | None): (num_classes,), logits.
        thresholds (Tensor | None): (num_classes,) probabilities, for the scaled scores.
    """

    scale: Tensor | None
    bias: Tensor | None
    thresholds: Tensor | None
    place: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.holds = False  # a flag, so that no training step reads from the device
        for name in FITTED:
            self.register_buffer(name, None)
        # tells where the head is: buffers that come with a checkpoint go there
        self.register_buffer('place', torch.empty(0), persistent=False)

    @property
    def fitted(self) -> bool:
        """Whether there is anything that was fitted."""
        return any(getattr(self, name) is not None for name in FITTED)

    def forward(self, logits: Tensor) -> Tensor:
        """Scale logits (..., num_classes); without scale and bias they stay as they are."""
        if self.scale is not None:
            logits = logits * self.scale
        if self.bias is not None:
            logits = logits + self.bias
        return logits

    def forget(self) -> None:
        """Make it that of other weights: nothing is scaled, labels are what is above 0.5."""
        for name, value in zip(FITTED, (1, 0, 0.5), strict=True):
            buffer = getattr(self, name)
            if buffer is not None:  # stays: averaged copies of the model walk its buffers in order
                buffer.fill_(value)
        self.holds = False
        print_log('The weights are trained on: their calibration and thresholds no longer hold '
                  'and are left out', logger='current')

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str,
                              *args: Any) -> None:
        for name in FITTED:
            value = state_dict.get(prefix + name)
            if value is None:
                setattr(self, name, None)
                continue
            if fault := self._fault(name, value):
                raise CheckpointMismatch(f'{prefix}{name} {fault}')
            self.register_buffer(name, torch.empty(
                self.num_classes, dtype=torch.float32, device=self.place.device))
        self.holds = self.fitted
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _fault(self, name: str, value: Tensor) -> str:
        """What is wrong with a value of a checkpoint; empty if nothing."""
        expected = (self.num_classes, )
        if tuple(value.shape) != expected:
            return f'is {tuple(value.shape)} instead of {expected}'
        if not value.is_floating_point() or value.is_meta or not value.isfinite().all():
            return 'should hold finite numbers'
        if name == 'scale' and not (value > 0).all():
            return 'should be positive: the order of the images would be turned round'
        if name == 'thresholds' and not ((value >= 0) & (value <= 1)).all():
            return 'should be probabilities in [0, 1]'
        return ''
