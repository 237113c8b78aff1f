"""YOLO's text files as ultralytics reads them: ``data.yaml``, ``images`` and ``labels``."""
from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from ..datasets.annotations import YOLOObject, check_classes, read_text, read_yolo_text
from .source_builder import SourceBuilder
from .source_data import Box, SourceData
from .source_files import SourceFiles, is_image, part_folder, path_inside


def yolo_description(files: SourceFiles) -> Path | None:
    """The folder's ``data.yaml`` (or another .yaml file with names), or else its ``classes.txt``.

    Raises:
        ValueError: Two YAML files have names.
    """
    found = [path for path in files.of_suffix('.yaml', '.yml')
             if path.parent == files.root and '\nnames:' in '\n' + read_text(str(path))]
    named = [path for path in found if path.stem == 'data'] or found
    if len(named) > 1:
        raise ValueError(f'{files.root}: {" and ".join(path.name for path in named[:3])} both have '
                         'names of classes: give the path of the one to read')
    texts = [path for path in files.of_suffix('.txt') if 'labels' in path.parts[len(
        files.root.parts):]]
    classes = files.root / 'classes.txt'
    return named[0] if named else classes if texts and classes in files.files else None


def read_yolo(files: SourceFiles, description: Path | None = None) -> SourceData:
    """Read the images of a description, each with the text file that belongs to it.

    That is the path of the image with its last ``images`` replaced by ``labels``, or beside it. An
    image without a text file holds no object, as in ultralytics. Boxes are shares of the image as
    it is shown.

    Args:
        files: What lies below the folder of the description.
        description: ``data.yaml``, or ``classes.txt`` with a name a line; None to look for it.

    Raises:
        FileNotFoundError: There is no description, or a folder or image it names is not there.
        ValueError: With file and entry: what is wrong.
    """
    description = description or yolo_description(files)
    if description is None:
        raise FileNotFoundError(f'{files.root}: no data.yaml with names, nor classes.txt beside '
                                'folders images and labels')
    builder = SourceBuilder('yolo', files.root)
    if description.suffix.lower() in ('.yaml', '.yml'):
        content = _read_yaml(description)
        classes = _names(content, description)
        images = _listed(content, description, files, builder)
    else:
        lines = read_text(str(description)).splitlines()
        classes = list(check_classes([line.strip() for line in lines if line.strip()],
                                     str(description)))
        images = [(image, _folder_part(image, files.root), str(image)) for image in files.images]
    with_text = 0
    for image, part, where in images:
        text = _text_of(image, files.root)
        objects = read_yolo_text(str(text), len(classes)) if text else []
        with_text += text is not None
        if text is None:
            builder.count('images without a text file: without objects', str(image))
        for entry in objects:
            if entry.outline:
                builder.count('polygons: read as the boxes around them', str(text))
        builder.add_shares(image, where, partial(_boxes, objects), part)
    if images and not with_text:
        raise FileNotFoundError(f'{description}: none of its {len(images)} images has a text file '
                                'in labels')
    return builder.build(classes)


def _boxes(objects: list[YOLOObject], size: tuple[int, int]) -> list[Box]:
    width, height = size
    return [Box(entry.label, (entry.center_x - entry.width / 2) * width,
                (entry.center_y - entry.height / 2) * height, entry.width * width,
                entry.height * height) for entry in objects]


def _text_of(image: Path, root: Path) -> Path | None:
    inner = list(image.relative_to(root).with_suffix('.txt').parts)
    beside = root.joinpath(*inner)
    if 'images' in inner[:-1]:
        inner[len(inner) - 1 - inner[::-1].index('images')] = 'labels'
    texts = [root.joinpath(*inner), beside]
    return next((text for text in texts if text.is_file()), None)


def _folder_part(image: Path, root: Path) -> str | None:
    return next(filter(None, map(part_folder, image.relative_to(root).parts[:-1])), None)


def _read_yaml(path: Path) -> Mapping[str, Any]:
    try:
        content = yaml.safe_load(read_text(str(path)))
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f'{path}: not a YAML file of plain values: {error}') from None
    if not isinstance(content, Mapping) or 'names' not in content:
        raise ValueError(f'{path}: it has no "names", the list of classes')
    return content


def _names(content: Mapping[str, Any], path: Path) -> list[str]:
    names = content['names']
    if isinstance(names, Mapping):
        if set(names) != set(range(len(names))):
            raise ValueError(f'{path}: names should be numbered from 0 to {len(names) - 1}')
        names = [names[number] for number in range(len(names))]
    if not isinstance(names, list):
        raise ValueError(f'{path}: names should be a list of the classes, got {names!r:.60}')
    # YAML reads `no` and `1` as other things than text
    strange = [name for name in names if not isinstance(name, str | int | float)
               or isinstance(name, bool)]
    if strange:
        raise ValueError(f'{path}: class name {strange[0]!r:.60} should be text: put it in quotes')
    names = list(check_classes([str(name) for name in names], str(path)))
    if content.get('nc', len(names)) != len(names):
        raise ValueError(f'{path}: nc is {content["nc"]!r:.60}, but there are {len(names)} names')
    return names


def _listed(content: Mapping[str, Any], path: Path, files: SourceFiles,
            builder: SourceBuilder) -> list[tuple[Path, str | None, str]]:
    """Images, their part and the entry that names them."""
    base = files.root
    given = content.get('path')
    if isinstance(given, str) and not Path(given).is_absolute() and '..' not in Path(given).parts \
            and (base / given).is_dir():
        base = base / given
    elif given is not None and Path(str(given)) != base:
        builder.note(f'path {str(given)!r:.200} of {path.name} was not followed: the images were '
                     'looked for beside it.')
    found: list[tuple[Path, str | None, str]] = []
    for part in ('train', 'val', 'test'):
        where = f'{path}: {part}'
        entries = content.get(part) or []
        if not isinstance(entries, (str, list)):
            raise ValueError(f'{where} should be a path or a list of paths, got {entries!r:.60}')
        for entry in [entries] if isinstance(entries, str) else entries:
            # Roboflow writes ../train/images for what lies in train/images; so ultralytics, too.
            inner = _below(base, str(entry).removeprefix('../').rstrip('/'))
            place = base if inner in ('', '.') else path_inside(base, inner, where)
            for image in _images(place, where, files):
                found.append((image, part, where))
    if not found:
        raise ValueError(f'{path}: train, val and test name no image')
    return found


def _below(folder: Path, name: str) -> str:
    """An absolute path below the folder relative to it; any other name as it is."""
    return str(Path(name).relative_to(folder)) if folder in Path(name).parents else name


def _images(place: Path, where: str, files: SourceFiles) -> list[Path]:
    if place.is_dir():
        images = [image for image in files.images if place in image.parents]
        if not images:
            raise FileNotFoundError(f'{where}: no image in {str(place)!r}')
        return images
    if is_image(place) or not place.is_file():
        raise FileNotFoundError(f'{where}: {str(place)!r} should be a folder of images, or a text '
                                'file that lists them')
    images = []
    for number, line in enumerate(read_text(str(place)).splitlines(), start=1):
        if line.strip():
            # "./" is the folder of the list; other names are relative to the source.
            folder = place.parent if line.startswith('./') else files.root
            images.append(path_inside(folder, _below(folder, line.strip().removeprefix('./')),
                                      f'{place}:{number}'))
    return images
