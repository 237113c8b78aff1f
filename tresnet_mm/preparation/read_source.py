"""Own data read, whatever its format: which one it is, is told apart by its files."""
from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from .coco_source import coco_files, read_coco_source
from .folders_source import read_folders
from .source_data import SourceData
from .source_files import SourceFiles
from .table_source import label_tables, read_table_source
from .voc_source import read_voc
from .yolo_source import read_yolo, yolo_description

FORMATS = ('voc', 'yolo', 'coco', 'table', 'folders')


def read_source(path: str | Path, format: str | None = None) -> SourceData:
    """Read a source of own data. Nothing of it is changed, and no image is decoded.

    Args:
        path: A folder, or one file of annotations: COCO's .json, YOLO's .yaml, a table .csv or
            .jsonl. Images lie below the folder (that above, for a file in ``annotations`` or
            ``labels``).
        format: 'voc', 'yolo', 'coco', 'table' or 'folders'; None to tell it apart.

    Raises:
        FileNotFoundError: The source, or something it names, is not there.
        ValueError: It is of no format or of two, or something in it is wrong; the message names
            the file, the entry and the value.
    """
    path = Path(path).resolve()
    if format is not None and format not in FORMATS:
        raise ValueError(f'format {format!r} should be one of {", ".join(FORMATS)}')
    if not path.exists():
        raise FileNotFoundError(f'{path}: there is no such folder or file')
    if path.is_file():
        return _read_file(path, format)
    files = SourceFiles(path)
    why = 'as asked'
    if format is None:
        format, why = _tell_apart(files)
    readers = dict(voc=read_voc, yolo=read_yolo, coco=read_coco_source, table=read_table_source,
                   folders=read_folders)
    return _noted(readers[format](files), why)


def _noted(data: SourceData, why: str) -> SourceData:
    return replace(data, notes=(f'Read as {data.format} ({why}).', *data.notes))


def _read_file(path: Path, format: str | None) -> SourceData:
    kinds = {'.json': 'coco', '.yaml': 'yolo', '.yml': 'yolo', '.csv': 'table', '.jsonl': 'table'}
    kind = kinds.get(path.suffix)
    if kind is None or format not in (None, kind):
        raise ValueError(f'{path}: a file should be .json (coco), .yaml (yolo), .csv or .jsonl '
                         f'(table){f", not {format}" if format else ""}; else give the folder')
    above = path.parent.name in ('annotations', 'labels')
    files = SourceFiles(path.parent.parent if above else path.parent)
    why = f'by the suffix of {path.name}'
    if kind == 'coco':
        return _noted(read_coco_source(files, [path]), why)
    if kind == 'yolo':
        return _noted(read_yolo(files, path), why)
    return _noted(read_table_source(files, [path]), why)


def _tell_apart(files: SourceFiles) -> tuple[str, str]:
    """The format of a folder, and the file or folder that tells it."""
    description = yolo_description(files)
    signs = {
        'voc': [xml for xml in files.of_suffix('.xml')[:100] if b'<annotation' in xml.read_bytes()],
        'yolo': [description] if description else [],
        'coco': coco_files(files),
        'table': label_tables(files),
    }
    found = {name: paths[0].relative_to(files.root) for name, paths in signs.items() if paths}
    if len(found) > 1:
        shown = ' and '.join(f'{name} ({path})' for name, path in found.items())
        raise ValueError(f'{files.root}: it could be {shown}: say which by the format '
                         f'(--format {next(iter(found))})')
    if found:
        name, path = next(iter(found.items()))
        return name, f'by {path}'
    if any(image.parent != files.root for image in files.images):
        return 'folders', 'images in folders, and no file of annotations'
    kinds = Counter(file.suffix.lower() or 'no suffix' for file in files.files)
    there = ', '.join(f'{count} {kind}' for kind, count in kinds.most_common(6)) or 'no file'
    raise ValueError(
        f'{files.root}: no format is told apart. Looked for: XML files with <annotation> (voc), '
        'data.yaml with names or classes.txt beside labels (yolo), .json with images and '
        'categories (coco), .csv or .jsonl with img_path (table), folders of images (folders). '
        f'Found: {there}.')
