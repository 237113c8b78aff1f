"""Datasets and transforms of TResNet models."""

from .checked_coco import CheckedCocoDataset
from .coco_multilabel import CocoMultiLabel
from .custom_multilabel import CustomMultiLabel
from .mixup import mixup_collate
from .multilabel_dataset import MultiLabelDataset
from .transforms import ColorCutout, LoadImageChecked, PackMultiLabelInputs
from .voc_multilabel import VOCMultiLabel

__all__ = [
    'CheckedCocoDataset',
    'CocoMultiLabel',
    'ColorCutout',
    'CustomMultiLabel',
    'LoadImageChecked',
    'MultiLabelDataset',
    'PackMultiLabelInputs',
    'VOCMultiLabel',
    'mixup_collate',
]
