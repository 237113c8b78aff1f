"""Own data to a data set, its split, a report and a config that trains."""

from .folds import folds
from .read_source import read_source
from .report import write_report
from .source_data import Box, SourceData, SourceImage
from .split import hold_out, missing_classes, own_parts, split
from .write_dataset import write_dataset
from .write_yolo import write_yolo

__all__ = [
    'Box',
    'SourceData',
    'SourceImage',
    'folds',
    'hold_out',
    'missing_classes',
    'own_parts',
    'read_source',
    'split',
    'write_dataset',
    'write_report',
    'write_yolo',
]
