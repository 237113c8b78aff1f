"""Deployment: folding for inference, ONNX export, and running exported models."""

from .fuse import FuseReport, fuse
from .fused_conv import FusedConv2d

__all__ = ['FuseReport', 'FusedConv2d', 'fuse']
