"""Lets mmengine's ``sync_bn='torch'`` synchronise InPlaceABN instead of replacing it."""

import functools

import mmengine.model.utils
from torch import nn

from .inplace_abn import InPlaceABN

_convert = mmengine.model.utils.convert_sync_batchnorm


@functools.wraps(_convert)
def _convert_sync_batchnorm(module: nn.Module, implementation: str = 'torch') -> nn.Module:
    if isinstance(module, InPlaceABN):
        module.sync = True
        return module
    return _convert(module, implementation)


# mmengine's function replaces every `_BatchNorm`, which would drop the activation and take
# `weight` for the scale. It has no extension point, but it recurses through its module's global,
# so that one assignment reaches every caller, those that imported the name earlier included.
mmengine.model.utils.convert_sync_batchnorm = _convert_sync_batchnorm
