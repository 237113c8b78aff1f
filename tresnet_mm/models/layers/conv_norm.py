"""Convolution, norm layer and leaky ReLU, for any ``norm_cfg``."""

from mmcv.cnn import ConvModule


class ConvNorm:
    """Builds the convolutions of a network: each with its norm layer and leaky ReLU.

    Args:
        norm_cfg: Config of the norm layer. ``InPlaceABN`` activates by itself; behind any other
            the activation is a layer of its own.
        conv_cfg: Config of the convolutions.
    """

    def __init__(self, norm_cfg: dict, conv_cfg: dict) -> None:
        self.norm_cfg = norm_cfg
        self.conv_cfg = conv_cfg

    def __call__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1,
                 dilation: int = 1, slope: float | None = None) -> ConvModule:
        """Build one; without a ``slope`` there is no activation."""
        norm_cfg, act_cfg = dict(self.norm_cfg), None
        if norm_cfg['type'] == 'InPlaceABN':
            norm_cfg.update(activation='identity' if slope is None else 'leaky_relu')
            if slope is not None:
                norm_cfg.update(activation_param=slope)
        elif slope is not None:
            act_cfg = dict(type='LeakyReLU', negative_slope=slope)
        return ConvModule(
            in_channels, out_channels, kernel_size, stride=stride, dilation=dilation,
            padding=dilation * (kernel_size // 2), norm_cfg=norm_cfg, act_cfg=act_cfg,
            conv_cfg=self.conv_cfg)
