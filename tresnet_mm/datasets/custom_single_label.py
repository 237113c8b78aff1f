"""Own images of one class each, from a CSV or JSON-lines file."""

from collections.abc import Mapping
from typing import Any

from mmengine.registry import DATASETS

from .annotations import ImageFolder, LabelRow
from .custom_multilabel import CustomMultiLabel


@DATASETS.register_module()
class CustomSingleLabel(CustomMultiLabel):
    """Single-label classification on own data, in the label tables of `CustomMultiLabel`.

    Args:
        ann_file: The file.
        label_separator: As in `CustomMultiLabel`.
        **kwargs: Arguments of `MultiLabelDataset`, without ``keep_empty``.

    Raises:
        ValueError: With file and line: an image that has not exactly one label, or an unknown one;
            or as `CustomMultiLabel`.
    """

    def __init__(self, ann_file: str, label_separator: str = ';', **kwargs: Any) -> None:
        super().__init__(ann_file, label_separator, **kwargs)

    def _to_record(self, row: LabelRow, index: Mapping[str, int], folder: ImageFolder) -> dict:
        if len(set(row.present)) != 1 or row.unknown:
            raise ValueError(
                f'{self.ann_file}:{row.line}: {row.img_path!r} must have exactly one label, got '
                f'{row.present or "none"}' + (f', unknown {row.unknown}' if row.unknown else '')
                + '; CustomMultiLabel reads any number')
        return super()._to_record(row, index, folder)
