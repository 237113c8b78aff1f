"""Replaces the ResNet of any mm config by TResNet.

`swap` does it; `resnets` knows what is a ResNet, `readers` who reads its feature maps.
"""

from .swap import Swap, custom_imports, plan_swap, swap_backbone

__all__ = ['Swap', 'custom_imports', 'plan_swap', 'swap_backbone']
