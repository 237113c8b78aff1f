"""Open Images' files of image labels, row by row: the training part has tens of millions."""
from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import IO, NamedTuple

from .text_file import check_regular_file, is_local, read_text

_COLUMNS = ('ImageID', 'LabelName', 'Confidence')


class OpenImagesLabel(NamedTuple):
    """What people said of one class in one image."""

    line: int
    image_id: str
    class_id: str
    """A machine identifier such as '/m/01g317'."""
    present: bool


def read_open_images_labels(path: str, backend_args: Mapping | None = None
                            ) -> Iterator[OpenImagesLabel]:
    """Read ``*-annotations-human-imagelabels.csv``; a local file is never in memory as a whole.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: With file and line: not UTF-8, no CSV, a missing column, a confidence that is
            neither 0 nor 1, as in the files of labels that a machine gave.
    """
    with _opened(path, backend_args) as file:
        rows = csv.reader(file)
        try:
            header = next(rows, [])
            missing = [name for name in _COLUMNS if name not in header]
            if missing:
                raise ValueError(f'{path}:1: the header must have {", ".join(_COLUMNS)}, got '
                                 f'{",".join(header)[:200]!r}')
            image, label, confidence = map(header.index, _COLUMNS)
            for cells in rows:
                if not cells:
                    continue
                if len(cells) != len(header):
                    raise ValueError(f'{path}:{rows.line_num}: {len(cells)} cells, the header has '
                                     f'{len(header)}')
                yield OpenImagesLabel(rows.line_num, cells[image], cells[label],
                                      _present(cells[confidence], f'{path}:{rows.line_num}'))
        except csv.Error as error:
            raise ValueError(f'{path}:{rows.line_num}: not CSV: {error}') from None
        except UnicodeDecodeError as error:
            raise ValueError(f'{path}: not UTF-8 text (byte 0x{error.object[error.start]:02x} '
                             f'after line {rows.line_num})') from None


def read_class_descriptions(path: str, backend_args: Mapping | None = None) -> dict[str, str]:
    """Read ``class-descriptions.csv``: identifiers and names, which differ.

    Newer files have the header ``LabelName,DisplayName``, older ones none. Where several
    identifiers have one name, the identifier is put behind each of these names.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: With file and line: no two cells, or an identifier twice.
    """
    names: dict[str, str] = {}
    rows = csv.reader(io.StringIO(read_text(path, backend_args), newline=''))
    for cells in rows:
        if not cells or cells == ['LabelName', 'DisplayName']:
            continue
        if len(cells) != 2 or not cells[0].startswith('/') or not cells[1].strip():
            raise ValueError(f'{path}:{rows.line_num}: an identifier such as /m/01g317 and a name '
                             f'should be here, got {",".join(cells)[:100]!r}')
        if cells[0] in names:
            raise ValueError(f'{path}:{rows.line_num}: {cells[0]} is listed twice')
        names[cells[0]] = cells[1].strip()
    bearers = Counter(names.values())
    return {key: f'{name} ({key})' if bearers[name] > 1 else name for key, name in names.items()}


def read_class_ids(path: str, known: Mapping[str, str],
                   backend_args: Mapping | None = None) -> list[str]:
    """Read ``classes-trainable.txt``: an identifier a line.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: With file and line: an identifier that is not ``known``, or stands twice.
    """
    found: dict[str, int] = {}
    for number, line in enumerate(read_text(path, backend_args).splitlines(), start=1):
        key = line.strip()
        if not key:
            continue
        if key not in known:
            raise ValueError(f'{path}:{number}: {key[:60]!r} is not in the class descriptions')
        if key in found:
            raise ValueError(f'{path}:{number}: {key} is listed twice, first in line {found[key]}')
        found[key] = number
    return list(found)


def _opened(path: str, backend_args: Mapping | None) -> IO[str]:
    if not is_local(path, backend_args):
        return io.StringIO(read_text(path, backend_args), newline='')
    check_regular_file(path)
    return open(path, encoding='utf-8-sig', newline='')


def _present(cell: str, where: str) -> bool:
    value = cell.strip()
    if value in ('1', '1.0'):
        return True
    if value in ('0', '0.0'):
        return False
    raise ValueError(f'{where}: Confidence should be 1 (people saw it) or 0 (it is not there), got '
                     f'{cell[:30]!r}; labels that a machine gave are not read')

