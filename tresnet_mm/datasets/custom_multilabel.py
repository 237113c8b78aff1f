"""Own image labels from a CSV or JSON-lines file."""

from collections.abc import Mapping
from typing import Any

from mmengine.registry import DATASETS

from .annotations import ImageFolder, LabelRow, read_label_table
from .multilabel_dataset import MultiLabelDataset


@DATASETS.register_module()
class CustomMultiLabel(MultiLabelDataset):
    """Multi-label classification on own data, labels by name, any class list.

    Three forms are read, told apart by the suffix and the header:

    - ``.jsonl``: a line for each image,
      ``{"img_path": "a.jpg", "labels": ["cat", "dog"], "unknown": ["bird"]}``
      (``unknown`` may be absent);
    - ``.csv`` with the header ``img_path,labels``: ``a.jpg,cat;dog``;
    - ``.csv`` with a column for each class, ``img_path,cat,dog,...``, and cells 1 (present),
      0 (absent) or -1 (unknown).

    The class list is ``metainfo['classes']``; without it, the columns of the header, or else all
    names in the file, sorted. A validation file need not hold every class, so give both data
    sets the same list where it is not in the header.

    Args:
        ann_file: The file.
        label_separator: What separates names in the CSV column ``labels``.
        keep_empty: Keep images without a label (default: they are negatives of every class).
        **kwargs: Arguments of `MultiLabelDataset`.

    Raises:
        ValueError: With file and line: wrong form, unknown class name, image listed twice, a file
            name that leaves the folder.
    """

    def __init__(
        self, ann_file: str, label_separator: str = ';', keep_empty: bool = True, **kwargs: Any
    ) -> None:
        if not label_separator or ',' in label_separator:
            raise ValueError(f'label_separator must be set and no comma, got {label_separator!r}')
        self.label_separator = label_separator
        super().__init__(ann_file=ann_file, keep_empty=keep_empty, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Read the file in its form."""
        table = read_label_table(self.ann_file, self.label_separator, self.backend_args)
        classes = self._metainfo.get('classes') or table.columns
        if classes is None:
            classes = sorted({name for row in table.rows for name in row.present + row.unknown})
        index = self._set_classes(classes)
        folder = self.image_folder()
        return self._select([self._to_record(row, index, folder) for row in table.rows])

    def _to_record(self, row: LabelRow, index: Mapping[str, int], folder: ImageFolder) -> dict:
        where = f'{self.ann_file}:{row.line}'
        unheard = [name for name in (*row.present, *row.unknown) if name not in index]
        if unheard:
            shown = list(index)[:10] + ['...'] * (len(index) > 10)
            raise ValueError(f'{where}: {unheard} not among the classes {shown}')
        return self._record(
            folder.path(row.img_path, where), row.img_path,
            {index[name] for name in row.present}, {index[name] for name in row.unknown})
