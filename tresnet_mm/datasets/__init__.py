"""Datasets and transforms of TResNet models."""

from .checked_coco import CheckedCocoDataset
from .coco_multilabel import CocoMultiLabel
from .color_cutout import ColorCutout
from .custom_multilabel import CustomMultiLabel
from .cutmix import cutmix_collate
from .drop_labels import DropLabels
from .image_dataset import ImageDataset
from .image_file import check_images
from .labels_to_scores import LabelsToScores
from .load_image_checked import LoadImageChecked
from .mixup import mixup_collate
from .multilabel_dataset import LabelCounts, MultiLabelDataset
from .pack_multilabel_inputs import PackMultiLabelInputs
from .voc_multilabel import VOCMultiLabel

__all__ = [
    'CheckedCocoDataset',
    'CocoMultiLabel',
    'ColorCutout',
    'CustomMultiLabel',
    'DropLabels',
    'ImageDataset',
    'LabelCounts',
    'LabelsToScores',
    'LoadImageChecked',
    'MultiLabelDataset',
    'PackMultiLabelInputs',
    'VOCMultiLabel',
    'check_images',
    'cutmix_collate',
    'mixup_collate',
]
