"""Deployment: folding for inference, ONNX export, and running exported models."""

from .fuse import FuseReport, fuse, pack_convolutions
from .fused_conv import FusedConv2d
from .onnx_export import export_onnx
from .onnx_model import OnnxModel, with_onnx_model
from .quantize import QuantizeReport, quantize_onnx

__all__ = [
    'FuseReport',
    'FusedConv2d',
    'OnnxModel',
    'QuantizeReport',
    'export_onnx',
    'fuse',
    'pack_convolutions',
    'quantize_onnx',
    'with_onnx_model',
]
