"""Heads of TResNet models."""

from .build_image_head import build_image_head
from .image_heads import ImageHeads
from .ml_decoder_head import MLDecoderHead
from .multilabel_dense_head import MultiLabelDenseHead
from .multilabel_head import MultiLabelHead
from .multilabel_linear_head import MultiLabelLinearHead
from .single_label_head import SingleLabelHead

__all__ = [
    'ImageHeads',
    'MLDecoderHead',
    'MultiLabelDenseHead',
    'MultiLabelHead',
    'MultiLabelLinearHead',
    'SingleLabelHead',
    'build_image_head',
]
