"""Which TResNet a state dict belongs to, told from its shapes."""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

_BLOCK = re.compile(r'^layer(\d+)\.(\d+)\.')


def detect_arch(state_dict: Mapping[str, Tensor]) -> str | dict[str, Any]:
    """The arch of a backbone's state dict in this package's key names, without prefix.

    Returns:
        A key of ``ARCHS``, or the fields of a custom arch: ``depths``, ``width``, ``blocks``.

    Raises:
        ValueError: If the stem or a whole stage is missing.
    """
    from tresnet_mm.models.tresnet import ARCHS
    stem = state_dict.get('conv1.conv.weight')
    if stem is None:
        raise ValueError('the checkpoint has no stem (conv1.conv.weight)')
    depths = _depths(state_dict)
    if not all(depths):
        raise ValueError(f'the checkpoint has no layer{depths.index(0) + 1}')
    blocks = tuple('bottleneck' if f'layer{stage}.0.conv3.conv.weight' in state_dict else 'basic'
                   for stage in range(1, 5))
    planes = stem.shape[0]
    for name, arch in ARCHS.items():
        if (depths, blocks, planes) == (tuple(arch['depths']), tuple(arch['blocks']),
                                        int(64 * arch['width'])):
            return name
    return dict(depths=depths, width=planes / 64, blocks=blocks)


def describe_arch(state_dict: Mapping[str, Tensor]) -> str:
    """The arch in words for a message, also of an incomplete state dict."""
    try:
        arch = detect_arch(state_dict)
    except ValueError as error:
        return f'unknown ({error})'
    return f"'{arch}'" if isinstance(arch, str) else f'custom {arch}'


def in_channels(state_dict: Mapping[str, Tensor]) -> int:
    """Number of image channels: the stem sees each 4x4 cell as channels."""
    return state_dict['conv1.conv.weight'].shape[1] // 16


def reference_shapes(arch: str | dict[str, Any], channels: int) -> dict[str, torch.Size]:
    """Names and shapes of the state dict of ``TResNet(arch, in_channels=channels)``."""
    from tresnet_mm.models.tresnet import TResNet
    with torch.device('meta'):
        backbone = TResNet(arch=arch, in_channels=channels)
    return {name: value.shape for name, value in backbone.state_dict().items()}


def _depths(state_dict: Mapping[str, Tensor]) -> tuple[int, ...]:
    depths = [0, 0, 0, 0]
    for key in state_dict:
        if (match := _BLOCK.match(key)) and 1 <= int(match[1]) <= 4:
            stage = int(match[1]) - 1
            depths[stage] = max(depths[stage], int(match[2]) + 1)
    return tuple(depths)
