"""The two residual blocks of TResNet (arXiv 2003.13630, section 2.1)."""

from collections import OrderedDict

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..archs import EXPANSION, se_channels
from .layers import BlurPool2d, ConvNorm, SqueezeExcite, gated_conv2d


class ResidualBlock(nn.Module):
    """What both residual blocks share: the shortcut and the anti-aliased downsampling.

    Args:
        in_channels: Channels of the input.
        planes: Channels of the block's 3x3 convolutions.
        stride: 1 or 2.
        dilation: Dilation of the 3x3 convolutions.
        use_se: Whether the block has a squeeze-and-excitation layer.
        slope: Slope of the leaky ReLUs.
        conv_norm: Builder of convolutions.
    """

    kind: str

    def __init__(self, in_channels: int, planes: int, stride: int, dilation: int, use_se: bool,
                 slope: float, conv_norm: ConvNorm) -> None:
        super().__init__()
        out_channels = planes * EXPANSION[self.kind]
        self.blur = BlurPool2d(planes) if stride == 2 else nn.Identity()
        self.se = SqueezeExcite(planes, se_channels(self.kind, planes)) if use_se else None
        self.downsample: nn.Sequential | None = None
        if stride == 2 or in_channels != out_channels:
            pool: nn.Module = nn.Identity()
            if stride == 2:
                pool = nn.AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False)
            self.downsample = nn.Sequential(
                OrderedDict(pool=pool, proj=conv_norm(in_channels, out_channels, 1)))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, planes * EXPANSION[kind], H / stride, W / stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        return F.relu_(self.residual(x) + shortcut)

    def residual(self, x: Tensor) -> Tensor:
        """The branch beside the shortcut."""
        raise NotImplementedError

    @property
    def last_norm(self) -> _BatchNorm:
        """The norm layer at the end of the branch."""
        raise NotImplementedError


class BasicBlock(ResidualBlock):
    """Two 3x3 convolutions, then squeeze-and-excitation (TResNet, section 2.1)."""

    kind = 'basic'

    def __init__(self, in_channels: int, planes: int, stride: int, dilation: int, use_se: bool,
                 slope: float, conv_norm: ConvNorm) -> None:
        super().__init__(in_channels, planes, stride, dilation, use_se, slope, conv_norm)
        self.conv1 = conv_norm(in_channels, planes, 3, dilation=dilation, slope=slope)
        self.conv2 = conv_norm(planes, planes, 3, dilation=dilation)

    @property
    def last_norm(self) -> _BatchNorm:
        return self.conv2.norm

    def residual(self, x: Tensor) -> Tensor:
        x = self.conv2(self.blur(self.conv1(x)))
        return x if self.se is None else self.se(x)


class Bottleneck(ResidualBlock):
    """1x1, 3x3 and 1x1 convolution, squeeze-and-excitation before the last (section 2.1)."""

    kind = 'bottleneck'

    def __init__(self, in_channels: int, planes: int, stride: int, dilation: int, use_se: bool,
                 slope: float, conv_norm: ConvNorm) -> None:
        super().__init__(in_channels, planes, stride, dilation, use_se, slope, conv_norm)
        self.conv1 = conv_norm(in_channels, planes, 1, slope=slope)
        self.conv2 = conv_norm(planes, planes, 3, dilation=dilation, slope=slope)
        self.conv3 = conv_norm(planes, planes * EXPANSION[self.kind], 1)

    @property
    def last_norm(self) -> _BatchNorm:
        return self.conv3.norm

    def residual(self, x: Tensor) -> Tensor:
        x = self.blur(self.conv2(self.conv1(x)))
        if self.se is None:
            return self.conv3(x)
        return self.conv3.norm(gated_conv2d(x, self.se.gate(x), self.conv3.conv))


#: The blocks by their names in the settings of an arch.
BLOCKS: dict[str, type[ResidualBlock]] = {block.kind: block for block in (BasicBlock, Bottleneck)}
