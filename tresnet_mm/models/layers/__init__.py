"""The layers TResNet is made of."""

from .blur_pool import BlurPool2d
from .checkpoint_block import checkpoint_block
from .conv_norm import ConvNorm
from .fast_conv import FastConv2d
from .inplace_abn import InPlaceABN, norm_form
from .space_to_depth import SpaceToDepth, pad_to_cells
from .squeeze_excite import SqueezeExcite, gated_conv2d

__all__ = ['BlurPool2d', 'ConvNorm', 'FastConv2d', 'InPlaceABN', 'SpaceToDepth', 'SqueezeExcite',
           'checkpoint_block', 'gated_conv2d', 'norm_form', 'pad_to_cells']
