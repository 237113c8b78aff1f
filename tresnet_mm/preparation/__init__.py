"""Own data to a data set, its split, a report and a config that trains."""

from .read_source import read_source
from .source_data import Box, SourceData, SourceImage
from .write_dataset import write_dataset
from .write_yolo import write_yolo

__all__ = ['Box', 'SourceData', 'SourceImage', 'read_source', 'write_dataset', 'write_yolo']
