"""Own image labels from a CSV or JSON-lines file."""

import csv
import json
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from mmengine.fileio import get_text, join_path
from mmengine.registry import DATASETS

from .multilabel_dataset import MultiLabelDataset

_CELLS = {'1': 'present', '0': 'absent', '-1': 'unknown'}


class _Row(NamedTuple):
    """One image of the file: names as they stand there, and the line for messages."""

    line: int
    img_path: str
    present: list[str]
    unknown: list[str]


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
        **kwargs: Arguments of :class:`MultiLabelDataset`.

    Raises:
        ValueError: With file and line: wrong form, unknown class name, image listed twice.
    """

    def __init__(
        self, ann_file: str, label_separator: str = ';', keep_empty: bool = True, **kwargs
    ) -> None:
        if not label_separator or ',' in label_separator:
            raise ValueError(f'label_separator must be set and no comma, got {label_separator!r}')
        self.label_separator = label_separator
        super().__init__(ann_file=ann_file, keep_empty=keep_empty, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Read the file in its form."""
        text = get_text(self.ann_file, backend_args=self.backend_args)
        columns: list[str] | None = None
        if self.ann_file.endswith('.csv'):
            columns, rows = self._read_csv(text.splitlines())
        elif self.ann_file.endswith('.jsonl'):
            rows = list(self._read_jsonl(text.splitlines()))
        else:
            raise ValueError(f'{self.ann_file}: the name must end in .csv or .jsonl')
        classes = self._metainfo.get('classes') or columns
        if classes is None:
            classes = sorted({name for row in rows for name in (*row.present, *row.unknown)})
        return self._select(self._to_records(rows, self._set_classes(classes)))

    def _to_records(self, rows: list[_Row], index: Mapping[str, int]) -> list[dict]:
        records: dict[str, dict] = {}
        for row in rows:
            unheard = [name for name in (*row.present, *row.unknown) if name not in index]
            if unheard:
                shown = list(index)[:10] + ['...'] * (len(index) > 10)
                raise ValueError(f'{self._at(row.line)}: {unheard} not among the classes {shown}')
            if row.img_path in records:
                raise ValueError(f'{self._at(row.line)}: image {row.img_path!r} is listed twice')
            records[row.img_path] = self._record(
                join_path(self.data_prefix['img'], row.img_path),
                row.img_path,
                {index[name] for name in row.present},
                {index[name] for name in row.unknown},
            )
        return list(records.values())

    def _read_csv(self, lines: list[str]) -> tuple[list[str] | None, list[_Row]]:
        """Rows, and the class columns where the header has them."""
        reader = csv.reader(lines)
        header = next(reader, [])
        if len(header) < 2 or header[0] != 'img_path':
            raise ValueError(
                f'{self._at(1)}: the header must be "img_path,labels" or '
                f'"img_path,CLASS,CLASS,...", got {",".join(header)!r}'
            )
        by_name = header[1:] == ['labels']
        rows = []
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(header):
                raise ValueError(
                    f'{self._at(reader.line_num)}: {len(cells)} cells, the header has {len(header)}'
                )
            if by_name:
                names = [name.strip() for name in cells[1].split(self.label_separator)]
                rows.append(_Row(reader.line_num, cells[0], [n for n in names if n], []))
            else:
                rows.append(self._read_cells(reader.line_num, header, cells))
        return (None if by_name else header[1:]), rows

    def _read_cells(self, line: int, header: list[str], cells: list[str]) -> _Row:
        names: dict[str, list[str]] = {meaning: [] for meaning in _CELLS.values()}
        for name, cell in zip(header[1:], cells[1:], strict=True):
            if cell.strip() not in _CELLS:
                raise ValueError(f'{self._at(line)}: {name} must be 1, 0 or -1, got {cell!r}')
            names[_CELLS[cell.strip()]].append(name)
        return _Row(line, cells[0], names['present'], names['unknown'])

    def _read_jsonl(self, lines: list[str]) -> Iterator[_Row]:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                entry = json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f'{self._at(number)}: not JSON: {error}') from error
            if not isinstance(entry, Mapping) or not isinstance(entry.get('img_path'), str):
                raise ValueError(f'{self._at(number)}: no "img_path"')
            present, unknown = entry.get('labels'), entry.get('unknown', [])
            for key, names in (('labels', present), ('unknown', unknown)):
                if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
                    raise ValueError(
                        f'{self._at(number)}: "{key}" must be a list of names, got {names!r}'
                    )
            yield _Row(number, entry['img_path'], present, unknown)

    def _at(self, line: int) -> str:
        return f'{self.ann_file}:{line}'
