#!/usr/bin/env python
"""Table of the archs: channels, parameters beside the published ones, multiply-adds.

Example:
    python tools/analysis/arch_table.py
"""
from __future__ import annotations

import torch
from mmengine.analysis import get_model_complexity_info

from tresnet_mm.models import ARCHS, TResNet

#: Parameters of the published backbones, counted in their checkpoints' layouts.
PUBLISHED_PARAMETERS = {'m': 29_340_032, 'l': 53_556_256, 'xl': 75_779_244, 'v2_l': 44_125_824,
                        'v2_xl': 67_251_712}


def measure(arch: str, size: int = 224) -> tuple[tuple[int, ...], int, float]:
    """Channels of the stages, parameters, and GMACs of one image of ``size`` pixels."""
    model = TResNet(arch).eval()
    with torch.no_grad():
        macs = get_model_complexity_info(
            model, (3, size, size), show_table=False, show_arch=False)['flops']
    return model.out_channels, sum(p.numel() for p in model.parameters()), macs / 1e9


def main() -> None:
    """Print the table in markdown."""
    print('| arch | depths | blocks | stage channels | parameters | published | '
          'GMACs at 224 px |')
    print('|---|---|---|---|---|---|---|')
    for arch, settings in ARCHS.items():
        channels, parameters, gmacs = measure(arch)
        published = PUBLISHED_PARAMETERS.get(arch)
        kinds = 'basic, bottleneck' if 'basic' in settings['blocks'] else 'bottleneck'
        print(f'| `{arch}` | {", ".join(map(str, settings["depths"]))} | {kinds} '
              f'| {", ".join(map(str, channels))} | {parameters:,} '
              f'| {f"{published:,}" if published else "-"} | {gmacs:.2f} |')


if __name__ == '__main__':
    main()
