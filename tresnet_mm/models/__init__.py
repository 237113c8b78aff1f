"""Models: the backbone, its layers and losses, heads, and whole networks."""

from ..archs import ARCHS
from . import losses
from .heads import MLDecoderHead, MultiLabelDenseHead, MultiLabelLinearHead, SingleLabelHead
from .icnet_tresnet import ICNetTResNet
from .multilabel_classifier import MultiLabelClassifier
from .multilabel_tta import MultiLabelTTAModel
from .multitask_detector import MultiTaskDetector
from .multitask_tta import MultiTaskTTAModel
from .tresnet import TResNet

__all__ = [
    'ARCHS',
    'ICNetTResNet',
    'MLDecoderHead',
    'MultiLabelClassifier',
    'MultiLabelDenseHead',
    'MultiLabelLinearHead',
    'MultiLabelTTAModel',
    'MultiTaskDetector',
    'MultiTaskTTAModel',
    'SingleLabelHead',
    'TResNet',
    'losses',
]
