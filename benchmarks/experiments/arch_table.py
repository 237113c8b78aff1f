"""Table of the archs: channels, parameters beside the published ones, multiply-adds.

Example:
    python -m benchmarks.experiments.arch_table
"""
from __future__ import annotations

from collections.abc import Iterator

import torch

from tresnet_mm.models import ARCHS, TResNet
from tresnet_mm.models.complexity import complexity

from ..markdown_table import markdown_table

#: Parameters of the published backbones, counted in their checkpoints' layouts.
PUBLISHED_PARAMETERS = {'m': 29_340_032, 'l': 53_556_256, 'xl': 75_779_244, 'v2_l': 44_125_824,
                        'v2_xl': 67_251_712}


def measure(arch: str, size: int = 224) -> tuple[tuple[int, ...], int, float]:
    """Channels of the stages, parameters, and GMACs of one image of ``size`` pixels."""
    model = TResNet(arch)
    macs = complexity(model, torch.zeros(1, 3, size, size)).multiply_adds
    return model.out_channels, sum(p.numel() for p in model.parameters()), macs / 1e9


def rows() -> Iterator[dict[str, str]]:
    """A line of the table for each arch."""
    for arch, settings in ARCHS.items():
        channels, parameters, gmacs = measure(arch)
        published = PUBLISHED_PARAMETERS.get(arch)
        yield {
            'arch': f'`{arch}`', 'depths': ', '.join(map(str, settings['depths'])),
            'blocks': 'basic, bottleneck' if 'basic' in settings['blocks'] else 'bottleneck',
            'stage channels': ', '.join(map(str, channels)), 'parameters': f'{parameters:,}',
            'published': f'{published:,}' if published else '-',
            'GMACs at 224 px': f'{gmacs:.2f}'}


def main() -> None:
    """Print the table in markdown."""
    print(markdown_table(list(rows())))


if __name__ == '__main__':
    main()
