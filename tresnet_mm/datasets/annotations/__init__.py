"""The one reading of annotation files: COCO, PASCAL VOC, YOLO, Open Images, NUS-WIDE, tables.

Every dataset, metric and check reads its file through these functions, so that they judge it alike.
They need no torch. What they refuse, they refuse by one ``ValueError`` (``FileNotFoundError`` for a
file that is not there) that names the file, the entry and the field.
"""

from .classes import check_classes
from .coco_file import CocoFile, read_coco, release_coco_files
from .coco_objects import ObjectCounts, count_objects, drop_reason
from .coco_segmentation import clean_segmentation, with_clean_mask
from .file_names import ImageFolder
from .label_table import LabelRow, LabelTable, read_label_table
from .mat_file import read_mat
from .nus_wide import read_image_list, read_label_column
from .open_images import (
    ImageLabels,
    read_class_descriptions,
    read_class_list,
    read_image_labels,
)
from .text_file import (
    check_regular_file,
    is_local,
    open_text,
    parse_json,
    read_text,
    without_collection,
)
from .voc_xml import VOCFile, VOCObject, read_voc_file, read_voc_list, read_voc_objects
from .yolo_text import YOLOObject, read_yolo_text

__all__ = [
    'CocoFile',
    'ImageFolder',
    'ImageLabels',
    'LabelRow',
    'LabelTable',
    'ObjectCounts',
    'VOCFile',
    'VOCObject',
    'YOLOObject',
    'check_classes',
    'check_regular_file',
    'clean_segmentation',
    'count_objects',
    'drop_reason',
    'is_local',
    'open_text',
    'parse_json',
    'read_class_descriptions',
    'read_class_list',
    'read_coco',
    'read_image_labels',
    'read_image_list',
    'read_label_column',
    'read_label_table',
    'read_mat',
    'read_text',
    'read_voc_file',
    'read_voc_list',
    'read_voc_objects',
    'read_yolo_text',
    'release_coco_files',
    'with_clean_mask',
    'without_collection',
]
