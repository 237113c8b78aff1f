"""Which TResNet a state dict belongs to, told from its shapes, and the shapes of an arch."""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ..archs import ARCHS, EXPANSION, arch_settings, se_channels, stem_channels

_BLOCK = re.compile(r'^layer(\d+)\.(\d+)\.')
Shape = tuple[int, ...]


def detect_arch(state_dict: Mapping[str, Tensor]) -> str | dict[str, Any]:
    """The arch of a backbone's state dict in this package's key names, without prefix.

    Returns:
        A key of ``ARCHS``, or the fields of a custom arch: ``depths``, ``width``, ``blocks``.

    Raises:
        ValueError: If the stem or a whole stage is missing, or the stem is no convolution's.
    """
    stem = state_dict.get('conv1.conv.weight')
    if stem is None:
        raise ValueError('the checkpoint has no stem (conv1.conv.weight)')
    if stem.ndim != 4:
        raise ValueError(f'the stem (conv1.conv.weight) has {stem.ndim} dimensions, not 4')
    depths = _depths(state_dict)
    if not all(depths):
        raise ValueError(f'the checkpoint has no layer{depths.index(0) + 1}')
    blocks = tuple('bottleneck' if f'layer{stage}.0.conv3.conv.weight' in state_dict else 'basic'
                   for stage in range(1, 5))
    planes = stem.shape[0]
    for name, arch in ARCHS.items():
        if (depths, blocks, planes) == (arch['depths'], arch['blocks'], stem_channels(name)):
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


def reference_shapes(arch: str | dict[str, Any], channels: int) -> dict[str, Shape]:
    """Names and shapes of the state dict of ``TResNet(arch, in_channels=channels)``."""
    settings = arch_settings(arch)
    planes = width = stem_channels(arch)
    shapes = _conv_norm('conv1', channels * 16, planes, 3)
    for stage, (depth, kind) in enumerate(zip(settings['depths'], settings['blocks'], strict=True)):
        for block in range(depth):
            name, out = f'layer{stage + 1}.{block}', planes * EXPANSION[kind]
            shapes |= _block(name, kind, width, planes)
            if stage < 3:
                shapes |= _squeeze_excite(f'{name}.se', planes, se_channels(kind, planes))
            if width != out:
                shapes |= _conv_norm(f'{name}.downsample.proj', width, out, 1)
            width = out
        planes *= 2
    return shapes


def _block(name: str, kind: str, width: int, planes: int) -> dict[str, Shape]:
    if kind == 'basic':
        return (_conv_norm(f'{name}.conv1', width, planes, 3)
                | _conv_norm(f'{name}.conv2', planes, planes, 3))
    return (_conv_norm(f'{name}.conv1', width, planes, 1)
            | _conv_norm(f'{name}.conv2', planes, planes, 3)
            | _conv_norm(f'{name}.conv3', planes, planes * EXPANSION[kind], 1))


def _conv_norm(name: str, width: int, out: int, kernel: int) -> dict[str, Shape]:
    norm = ('weight', 'bias', 'running_mean', 'running_var')
    return ({f'{name}.conv.weight': (out, width, kernel, kernel)}
            | {f'{name}.bn.{leaf}': (out,) for leaf in norm}
            | {f'{name}.bn.num_batches_tracked': ()})


def _squeeze_excite(name: str, planes: int, hidden: int) -> dict[str, Shape]:
    return {f'{name}.fc1.weight': (hidden, planes, 1, 1), f'{name}.fc1.bias': (hidden,),
            f'{name}.fc2.weight': (planes, hidden, 1, 1), f'{name}.fc2.bias': (planes,)}


def _depths(state_dict: Mapping[str, Tensor]) -> tuple[int, ...]:
    depths = [0, 0, 0, 0]
    for key in state_dict:
        match = _BLOCK.match(key)
        if match and len(match[1]) == 1 and 1 <= int(match[1]) <= 4 and len(match[2]) < 4:
            stage = int(match[1]) - 1
            depths[stage] = max(depths[stage], int(match[2]) + 1)
    return tuple(depths)
