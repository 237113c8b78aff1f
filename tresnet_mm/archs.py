"""The published TResNets (arXiv 2003.13630, table 2) and what follows from an arch alone."""

import copy
from typing import Any

KINDS = ('basic', 'bottleneck')
EARLY_BASIC = ('basic', 'basic', 'bottleneck', 'bottleneck')
ALL_BOTTLENECK = ('bottleneck',) * 4

#: The published networks: blocks a stage, width factor, and kind of block a stage.
#: ``v2_l`` and ``v2_xl`` are called tresnet_l and tresnet_xl by ML-Decoder's files.
ARCHS: dict[str, dict[str, Any]] = {
    's': dict(depths=(3, 4, 6, 3), width=1.0, blocks=EARLY_BASIC),
    'm': dict(depths=(3, 4, 11, 3), width=1.0, blocks=EARLY_BASIC),
    'l': dict(depths=(4, 5, 18, 3), width=1.2, blocks=EARLY_BASIC),
    'xl': dict(depths=(4, 5, 24, 3), width=1.3, blocks=EARLY_BASIC),
    'v2_l': dict(depths=(3, 4, 23, 3), width=1.0, blocks=ALL_BOTTLENECK),
    'v2_xl': dict(depths=(3, 8, 34, 5), width=1.0, blocks=ALL_BOTTLENECK),
}

#: Far beyond any network that can be used: a slip here would fill the memory.
MAX_DEPTH = 1000
MAX_WIDTH = 64
#: Channels of a block's output for each of its planes (section 2.1).
EXPANSION = {'basic': 1, 'bottleneck': 4}


def arch_settings(arch: str | dict[str, Any]) -> dict[str, Any]:
    """Return depths, width and blocks of ``arch``, a key of `ARCHS` or a dict of those fields.

    Raises:
        ValueError: If the arch is unknown or a field is out of its range.
    """
    if isinstance(arch, str):
        if arch not in ARCHS:
            raise ValueError(f'unknown arch {arch!r}; known are {", ".join(ARCHS)}, or give a dict '
                             'with depths, width and blocks')
        return copy.deepcopy(ARCHS[arch])
    settings: dict[str, Any] = dict(width=1.0, blocks=EARLY_BASIC) | dict(arch)
    unknown = set(settings) - {'depths', 'width', 'blocks'}
    if unknown or 'depths' not in settings:
        raise ValueError('a custom arch is a dict with depths, and optionally width and blocks, '
                         f'got {dict(arch)}')
    depths, width, blocks = settings['depths'], settings['width'], settings['blocks']
    if not isinstance(depths, (tuple, list)) or len(depths) != 4 or not all(
            isinstance(depth, int) and 0 < depth <= MAX_DEPTH for depth in depths):
        raise ValueError(f'depths must be four numbers from 1 to {MAX_DEPTH}, got {depths!r}')
    if not isinstance(blocks, (tuple, list)) or len(blocks) != 4 or not all(
            kind in KINDS for kind in blocks):
        raise ValueError(f'blocks must be four of {KINDS}, got {blocks!r}')
    if not isinstance(width, (int, float)) or not 1 / 64 <= width <= MAX_WIDTH:
        raise ValueError(f'width must leave at least one channel of 64, and be at most '
                         f'{MAX_WIDTH}, got {width!r}')
    return settings


def stem_channels(arch: str | dict[str, Any]) -> int:
    """Channels behind the stem, which are also the planes of the first stage."""
    return int(64 * arch_settings(arch)['width'])


def stage_channels(arch: str | dict[str, Any]) -> tuple[int, int, int, int]:
    """Channels of the four stages' outputs.

    >>> stage_channels('m')
    (64, 128, 1024, 2048)

    Raises:
        ValueError: As of `arch_settings`.
    """
    blocks = arch_settings(arch)['blocks']
    first, second, third, fourth = (
        stem_channels(arch) * 2 ** stage * EXPANSION[kind] for stage, kind in enumerate(blocks))
    return first, second, third, fourth


def se_channels(kind: str, planes: int) -> int:
    """Hidden channels of a block's squeeze-and-excitation (section 2.1)."""
    return max(planes // 4 if kind == 'basic' else planes * 4 // 8, 64)
