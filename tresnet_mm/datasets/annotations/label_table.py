"""Image labels in a table: CSV or JSON lines."""
from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from .text_file import read_text

_CELLS = {'1': 'present', '0': 'absent', '-1': 'unknown'}


class LabelRow(NamedTuple):
    """One image of a table: names as they stand there, and the line for messages."""

    line: int
    img_path: str
    present: list[str]
    unknown: list[str]


class LabelTable(NamedTuple):
    """A label table.

    Attributes:
        columns: The class columns where the header has them, else None.
        rows: The images.
    """

    columns: list[str] | None
    rows: list[LabelRow]


def read_label_table(path: str, label_separator: str = ';',
                     backend_args: Mapping | None = None) -> LabelTable:
    """Read a label table, told apart by its suffix and header.

    Blanks around names of classes do not count; a byte order mark and Windows line ends are no
    part of the text; lines of JSON end at line feeds alone (U+2028 may stand in a name).

    Args:
        path: A file ``.csv`` with the header ``img_path,labels`` or ``img_path,CLASS,CLASS,...``,
            or ``.jsonl`` with ``{"img_path": ..., "labels": [...], "unknown": [...]}`` a line.
        label_separator: What separates names in the CSV column ``labels``.
        backend_args: Arguments of mmengine's file backend.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: With file and line: not UTF-8, no CSV or JSON, a wrong header, cell or field,
            an image that is listed twice.
    """
    path = str(path)
    if not path.endswith(('.csv', '.jsonl')):
        raise ValueError(f'{path}: the name must end in .csv or .jsonl')
    text = read_text(path, backend_args)
    if path.endswith('.csv'):
        table = _read_csv(path, text, label_separator)
    else:
        table = LabelTable(None, list(_read_jsonl(path, text)))
    lines: dict[str, int] = {}
    for row in table.rows:
        if row.img_path in lines:
            raise ValueError(f'{path}:{row.line}: image {row.img_path!r} is listed twice, first in '
                             f'line {lines[row.img_path]}')
        lines[row.img_path] = row.line
    return table


def _read_csv(path: str, text: str, label_separator: str) -> LabelTable:
    reader = csv.reader(io.StringIO(text, newline=''), strict=True)  # no open quotes
    try:
        header = [name.strip() for name in next(reader, [])]
        by_name = header[1:] == ['labels']
        if len(header) < 2 or header[0] != 'img_path':
            hint = ' (columns are separated by commas)' if ';' in ''.join(header) else ''
            raise ValueError(
                f'{path}:1: the header must be "img_path,labels" or '
                f'"img_path,CLASS,CLASS,...", got {",".join(header)[:200]!r}{hint}')
        if '' in header:
            raise ValueError(f'{path}:1: column {header.index("") + 1} of the header has no name')
        rows = []
        for cells in reader:
            if not cells:
                continue
            line = reader.line_num
            if len(cells) != len(header):
                raise ValueError(f'{path}:{line}: {len(cells)} cells, the header has {len(header)}')
            if by_name:
                names = [name.strip() for name in cells[1].split(label_separator)]
                rows.append(LabelRow(line, cells[0], [name for name in names if name], []))
            else:
                rows.append(_read_cells(path, line, header, cells))
    except csv.Error as error:
        raise ValueError(f'{path}:{reader.line_num}: not CSV: {error}') from None
    return LabelTable(None if by_name else header[1:], rows)


def _read_cells(path: str, line: int, header: list[str], cells: list[str]) -> LabelRow:
    names: dict[str, list[str]] = {meaning: [] for meaning in _CELLS.values()}
    for name, cell in zip(header[1:], cells[1:], strict=True):
        if cell.strip() not in _CELLS:
            raise ValueError(f'{path}:{line}: {name} must be 1, 0 or -1, got {cell[:60]!r}')
        names[_CELLS[cell.strip()]].append(name)
    return LabelRow(line, cells[0], names['present'], names['unknown'])


def _read_jsonl(path: str, text: str) -> Iterator[LabelRow]:
    for number, line in enumerate(text.split('\n'), start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(f'{path}:{number}: not JSON: {error}') from None
        if not isinstance(entry, Mapping) or not isinstance(entry.get('img_path'), str):
            raise ValueError(f'{path}:{number}: no "img_path"')
        present: Any = entry.get('labels')
        unknown: Any = entry.get('unknown', [])
        for key, names in (('labels', present), ('unknown', unknown)):
            if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
                raise ValueError(
                    f'{path}:{number}: "{key}" must be a list of names, got {names!r:.60}')
        yield LabelRow(number, entry['img_path'], [name.strip() for name in present],
                       [name.strip() for name in unknown])
