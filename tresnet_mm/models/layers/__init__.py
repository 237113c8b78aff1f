"""The layers TResNet is made of."""

from .blur_pool import BlurPool2d
from .inplace_abn import InPlaceABN
from .space_to_depth import SpaceToDepth
from .squeeze_excite import SqueezeExcite, gated_conv2d

__all__ = ['BlurPool2d', 'InPlaceABN', 'SpaceToDepth', 'SqueezeExcite', 'gated_conv2d']
