"""Datasets and transforms of TResNet models."""

from .antialias_resize import AntialiasResize
from .background_sampler import BackgroundSampler
from .checked_coco import CheckedCocoDataset
from .cifar import CIFAR10, CIFAR100
from .coco_multilabel import CocoMultiLabel
from .color_cutout import ColorCutout
from .custom_multilabel import CustomMultiLabel
from .custom_single_label import CustomSingleLabel
from .cutmix import cutmix_collate
from .drop_labels import DropLabels
from .fast_colors import (
    FastAutoContrast,
    FastBrightness,
    FastContrast,
    FastEqualize,
    FastSharpness,
    FastSolarize,
)
from .flowers102 import Flowers102
from .image_dataset import ImageDataset
from .image_file import check_images
from .image_folder import ImageFolderSingleLabel, ImageNet
from .joint_dataset import JointDataset
from .labelled_images import LabelledImages
from .labels_to_scores import LabelsToScores
from .load_image_checked import LoadImageChecked
from .mixup import mixup_collate
from .multilabel_dataset import LabelCounts, MultiLabelDataset
from .nus_wide import NUSWIDE
from .open_images import OpenImages
from .pack_multilabel_inputs import PackMultiLabelInputs
from .pack_single_label_inputs import PackSingleLabelInputs
from .resize_short_side import ResizeShortSide
from .stanford_cars import StanfordCars
from .voc_multilabel import VOCMultiLabel

__all__ = [
    'AntialiasResize',
    'BackgroundSampler',
    'CIFAR10',
    'CIFAR100',
    'CheckedCocoDataset',
    'CocoMultiLabel',
    'ColorCutout',
    'CustomMultiLabel',
    'CustomSingleLabel',
    'FastAutoContrast',
    'FastBrightness',
    'FastContrast',
    'FastEqualize',
    'FastSharpness',
    'FastSolarize',
    'Flowers102',
    'ImageDataset',
    'ImageFolderSingleLabel',
    'ImageNet',
    'DropLabels',
    'JointDataset',
    'LabelCounts',
    'LabelledImages',
    'LabelsToScores',
    'LoadImageChecked',
    'MultiLabelDataset',
    'NUSWIDE',
    'OpenImages',
    'PackMultiLabelInputs',
    'PackSingleLabelInputs',
    'ResizeShortSide',
    'StanfordCars',
    'VOCMultiLabel',
    'check_images',
    'cutmix_collate',
    'mixup_collate',
]
