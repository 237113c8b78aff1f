"""Tables of image labels, CSV or JSON lines: one, or one a part."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..datasets.annotations import LabelTable, read_label_table
from .source_builder import SourceBuilder
from .source_data import SourceData
from .source_files import SourceFiles, part_of, path_inside


def looks_like_table(path: Path) -> bool:
    """Whether a file begins as a label table does."""
    with path.open('rb') as file:
        start = file.read(2000).removeprefix(b'\xef\xbb\xbf').lstrip()
    return start.startswith(b'img_path') or (start.startswith(b'{') and b'"img_path"' in start)


def label_tables(files: SourceFiles) -> list[Path]:
    """Label tables in a folder, or in its ``labels``."""
    return [path for path in files.of_suffix('.csv', '.jsonl')
            if path.parent in (files.root, files.root / 'labels') and looks_like_table(path)]


def read_table_source(files: SourceFiles, paths: Sequence[Path] | None = None) -> SourceData:
    """Read label tables; of several, each is the part that its name says.

    Args:
        files: What lies below the source's folder. Names are relative to it, or to its ``images``.
        paths: The tables; None for all in the folder.

    Raises:
        FileNotFoundError: There is no table, or an image is not there.
        ValueError: With file and line: what is wrong.
    """
    paths = list(paths or label_tables(files))
    if not paths:
        raise FileNotFoundError(f'{files.root}: no label table (.csv or .jsonl with '
                                'img_path) in it')
    parts = [part_of(path.stem) for path in paths]
    if len(paths) > 1 and (None in parts or len(set(parts)) < len(parts)):
        raise ValueError(f'{files.root}: {", ".join(path.name for path in paths[:4])}: of several '
                         'tables each should be of another part (train, val, test in its name): '
                         'give the path of one file, or rename them')
    builder = SourceBuilder('table', files.root)
    tables = [read_label_table(str(path)) for path in paths]
    classes = _classes(tables, paths)
    index = {name: label for label, name in enumerate(classes)}
    for path, part, table in zip(paths, parts, tables, strict=True):
        for row in table.rows:
            where = f'{path}:{row.line}'
            file = path_inside(files.root, row.img_path, where)
            if not file.exists():
                inner = path_inside(files.root / 'images', row.img_path, where)
                file = inner if inner.exists() else file
            builder.add(file, where, labels=frozenset(index[name] for name in row.present),
                        unknown=frozenset(index[name] for name in row.unknown), part=part)
    return builder.build(classes)


def _classes(tables: Sequence[LabelTable], paths: Sequence[Path]) -> list[str]:
    """The columns, which all tables share, or else all names, sorted."""
    columns = tables[0].columns
    for table, path in zip(tables, paths, strict=True):
        if table.columns != columns:
            raise ValueError(f'{path}:1: its columns are not those of {paths[0]}: all tables of a '
                             'source need the same classes in the same order')
    return columns or sorted({name for table in tables for row in table.rows
                              for name in (*row.present, *row.unknown)})
