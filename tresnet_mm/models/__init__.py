"""Models: the backbone, its layers and losses, heads, and whole networks."""

from .tresnet import ARCHS, TResNet

__all__ = ['ARCHS', 'TResNet']
