"""The residual blocks of TResNet in the form that is cheapest for inference."""

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from torch import Tensor, nn

from ..models.layers import SqueezeExcite


class FusedBlock(nn.Module):
    """A residual block after folding: the same parts under the same names.

    A basic block applies gate and shortcut in one pass; in a bottleneck the last convolution adds
    the shortcut and applies the ReLU. The blur pool stays as it is: a zero-padding convolution with
    a correction of the mirrored border was measured and is no faster.

    Args:
        block: A block of `TResNet` whose convolutions are `FusedConv2d`, each in its ConvModule.
    """

    downsample: nn.Module | None
    blur: nn.Module
    se: SqueezeExcite | None
    conv1: ConvModule
    conv2: ConvModule
    conv3: ConvModule  # of a bottleneck

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        for name in ('downsample', 'blur', 'se'):
            setattr(self, name, getattr(block, name))
        for name, child in block.named_children():
            if name.startswith('conv'):
                self.add_module(name, child)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C', H / stride, W / stride); ``x`` may be overwritten."""
        shortcut = x if self.downsample is None else self.downsample(x)
        if hasattr(self, 'conv3'):
            return self._bottleneck(x, shortcut)
        x = self.conv2(self.blur(self.conv1(x)))
        if self.se is None:
            return F.relu_(x + shortcut)
        return F.relu_(torch.addcmul(shortcut, x, gate(self.se, x)))

    def _bottleneck(self, x: Tensor, shortcut: Tensor) -> Tensor:
        x = self.blur(self.conv2(self.conv1(x)))
        if self.se is not None:
            x = x * gate(self.se, x)
        return self.conv3.conv(x, shortcut)


def gate(se: SqueezeExcite, x: Tensor) -> Tensor:
    """Gates (N, C, 1, 1) of ``x`` (N, C, H, W), by matrix products instead of convolutions."""
    mean = x.mean((2, 3))
    hidden = F.relu_(F.linear(mean, se.fc1.weight.flatten(1), se.fc1.bias))
    return F.linear(hidden, se.fc2.weight.flatten(1), se.fc2.bias).sigmoid()[:, :, None, None]
