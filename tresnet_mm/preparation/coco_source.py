"""COCO's JSON files: one, one a part, or one in each part's folder as Roboflow exports them."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..datasets.annotations import CocoFile, read_coco
from .source_builder import SourceBuilder
from .source_data import Box, SourceData
from .source_files import SourceFiles, part_folder, part_of, path_inside


def looks_like_coco(path: Path) -> bool:
    """Whether a JSON file has the words of COCO's annotations."""
    content = path.read_bytes()
    return all(word in content for word in (b'"images"', b'"categories"', b'"annotations"'))


def coco_files(files: SourceFiles) -> list[Path]:
    """COCO's files below a folder; those of instances alone, where some are named so."""
    found = [path for path in files.of_suffix('.json') if looks_like_coco(path)]
    return [path for path in found if path.name.startswith('instances_')] or found


def read_coco_source(files: SourceFiles, paths: Sequence[Path] | None = None) -> SourceData:
    """Read COCO's files; a part is what the name of a file or its folder says.

    Crowds and annotations marked ``ignore`` are objects to ignore; their class counts as there.

    Args:
        files: What lies below the source's folder.
        paths: The files; None for all below the folder.

    Raises:
        FileNotFoundError: There is no COCO file, or an image is not there.
        ValueError: A file is not of COCO's form; two are of one part; names file and entry.
    """
    paths = list(paths or coco_files(files))
    if not paths:
        raise FileNotFoundError(f'{files.root}: no COCO file (.json with images, annotations and '
                                'categories) below it')
    parts = {path: _part(path, files.root) for path in paths}
    if len(paths) > 1:
        for path in paths:
            same = [other for other in paths if parts[other] == parts[path]]
            if parts[path] is None or len(same) > 1:
                raise ValueError(
                    f'{files.root}: {", ".join(map(str, same[:4]))}: of several COCO files each '
                    'should be of another part (train, val, test in its name or folder): give the '
                    'path of one file, or rename them')
    builder = SourceBuilder('coco', files.root)
    contents = {path: read_coco(str(path), outlines=False) for path in paths}
    classes = _classes(contents, builder)
    index = {name: label for label, name in enumerate(classes)}
    for path, coco in contents.items():
        _add(coco, path, parts[path], index, files, builder)
    return builder.build(classes)


def _part(path: Path, root: Path) -> str | None:
    folders = path.relative_to(root).parts[:-1]
    return part_of(path.stem) or next(filter(None, map(part_folder, folders)), None)


def _classes(contents: dict[Path, CocoFile], builder: SourceBuilder) -> list[str]:
    """Names of all files; without the empty category that is only the others' supercategory."""
    classes = list(dict.fromkeys(name for coco in contents.values() for name in coco.classes))
    counts = dict.fromkeys(classes, 0)
    above = set()
    for coco in contents.values():
        for name, count in coco.objects_per_class().items():
            counts[name] += count
        above |= {category.get('supercategory') for category in coco.categories
                  if category.get('supercategory') != category['name']}
    empty = [name for name in classes if name in above and not counts[name]]
    if empty:
        builder.note(f'Left out of the classes, being only the supercategory of others: {empty}.')
    return [name for name in classes if name not in empty]


def _add(coco: CocoFile, path: Path, part: str | None, index: dict[str, int], files: SourceFiles,
         builder: SourceBuilder) -> None:
    if not coco.labelled:
        raise ValueError(f'{path}: it has no list of annotations')
    name_of = {category['id']: category['name'] for category in coco.categories}
    folder = _image_folder(coco, path, files.root)
    if coco.strays():
        builder.count('annotations of an image that is not listed: left out', str(path))
    for image in coco.images:
        where = f'{path}: image {image["id"]!r}'
        boxes = []
        for entry in coco.annotations_of[image['id']]:
            name = name_of.get(entry['category_id'])
            if name is None:
                raise ValueError(f'{path}: annotation {entry["id"]!r} has category_id '
                                 f'{entry["category_id"]!r}, which is not among the categories')
            if 'bbox' not in entry:
                raise ValueError(f'{path}: annotation {entry["id"]!r} has no bbox')
            ignore = bool(entry.get('iscrowd') or entry.get('ignore'))
            x, y, width, height = entry['bbox']
            boxes.append(Box(index[name], x, y, width, height, ignore))
        size = (int(image['width']), int(image['height'])) \
            if 'width' in image and 'height' in image else None
        builder.add(path_inside(folder, image['file_name'], where), where, boxes=boxes,
                    labels=frozenset(box.label for box in boxes), part=part, annotated_size=size)


def _image_folder(coco: CocoFile, path: Path, root: Path) -> Path:
    """The folder that the file's names are relative to: the first one that has the first image."""
    if not coco.images:
        raise ValueError(f'{path}: it lists no image')
    word = path.stem.rsplit('_', 1)[-1]
    around = [folder for folder in (path.parent, path.parent.parent)
              if folder == root or root in folder.parents]
    folders = [folder / name for folder in around
               for name in ('', word, 'images', f'images/{word}')]
    name = coco.images[0]['file_name']
    where = f'{path}: image {coco.images[0]["id"]!r}'
    for folder in folders:
        if folder.is_dir() and path_inside(folder, name, where).is_file():
            return folder
    raise FileNotFoundError(f'{where}: no image {name!r} in {", ".join(map(str, folders))}')
