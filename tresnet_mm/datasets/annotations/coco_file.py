"""COCO's annotation files, read and checked once for all who use them."""
from __future__ import annotations

import dataclasses
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from reprlib import Repr
from typing import Any
from weakref import WeakValueDictionary

from . import coco_values as values
from .classes import check_classes
from .text_file import is_local, parse_json, read_text

_show = Repr()
_show.maxlist = _show.maxdict = 6
_show.maxstring = _show.maxlong = _show.maxother = 60
show = _show.repr

#: The polygons of an object in a file's text; what stands inside a string has its quotes escaped.
_OUTLINE = re.compile(r'"segmentation":\s*\[[^"{}]*\]')
#: What is read, as long as someone uses it; see `read_coco`.
_in_use: WeakValueDictionary[tuple, CocoFile] = WeakValueDictionary()
_kept: dict[tuple, CocoFile] = {}


@dataclasses.dataclass(frozen=True, eq=False)
class CocoFile:
    """A COCO file whose fields have been checked. It is shared: nobody may change what it holds.

    Ids are integers or text, each once in its list; an annotation may still name an image or a
    category that is not listed. ``iscrowd`` and ``ignore`` may be absent, which means 0. Image
    sizes, boxes and areas may be absent until `require_boxes` has been called.

    Attributes:
        path: The file.
        images: Entries of the images.
        categories: Entries of the categories.
        annotations: Entries of the annotations.
        labelled: Whether the file has a list of annotations at all (that of a test set has none).
    """

    path: str
    images: list[dict[str, Any]]
    categories: list[dict[str, Any]]
    annotations: list[dict[str, Any]]
    labelled: bool

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the categories in the file's order."""
        return tuple(category['name'] for category in self.categories)

    def category_ids(self, classes: Sequence[str] | None = None) -> list[int | str]:
        """Category ids in the order of ``classes``, or of the file: the id of label 0, 1, ...

        Raises:
            ValueError: ``classes`` is no list of different names, or a name is not in the file.
        """
        ids = {category['name']: category['id'] for category in self.categories}
        if classes is None:
            return list(ids.values())
        classes = check_classes(classes, self.path)
        missing = [name for name in classes if name not in ids]
        if missing:
            names = ', '.join(list(ids)[:5]) + ', ...' * (len(ids) > 5)
            raise ValueError(
                f'{self.path}: class {missing[0]!r} ({len(missing)} of {len(classes)} classes) is '
                f'not among the {len(ids)} categories of the annotation file ({names}): set '
                'metainfo=dict(classes=...) of the dataset to the names in the file')
        return [ids[name] for name in classes]

    @cached_property
    def annotations_of(self) -> Mapping[int | str, list[dict[str, Any]]]:
        """The annotations of each listed image id, in the file's order."""
        found: dict[int | str, list] = {image['id']: [] for image in self.images}
        for annotation in self.annotations:
            if annotation['image_id'] in found:
                found[annotation['image_id']].append(annotation)
        return found

    def strays(self) -> list[dict[str, Any]]:
        """The annotations of images that the file does not list."""
        ids = {image['id'] for image in self.images}
        return [annotation for annotation in self.annotations if annotation['image_id'] not in ids]

    def objects_per_class(self) -> dict[str, int]:
        """How many annotations each category has, by name, in the file's order."""
        counts = Counter(annotation['category_id'] for annotation in self.annotations)
        return {category['name']: counts[category['id']] for category in self.categories}

    def require_boxes(self) -> None:
        """See that images have their size, and annotations box and area, as detection needs.

        Raises:
            ValueError: Naming the file, the first entry that lacks a field, and the field.
        """
        for part, keys in (('images', ('width', 'height')), ('annotations', ('bbox', 'area'))):
            for key in keys:
                _column(self.path, part, getattr(self, part), key)


def read_coco(path: str, backend_args: Mapping | None = None, *, outlines: bool = True,
              keep: bool = False) -> CocoFile:
    """Read and check a COCO file.

    Readers at the same time share one result. It goes when nobody holds it any more, so that the
    processes that load images do not carry it along.

    Args:
        path: The file, local or on one of mmengine's file backends.
        backend_args: Arguments of that backend.
        outlines: Whether polygons are wanted. They are nine tenths of COCO's file and two thirds of
            the time to read it; without, an empty list may stand for them.
        keep: Hold it until the next reader of the same, unchanged file, which then shares it: for
            a check in front of a run. `release_coco_files` ends the holding.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no JSON file or not of COCO's form; a field is missing or of a wrong kind;
            an id or a category's name stands twice. The message names file, entry and field.
    """
    path = str(path)
    file = _identity(path) if is_local(path, backend_args) else None
    # A reading with the outlines serves those who need none, too.
    keys = [(file, True)] if outlines else [(file, True), (file, False)]
    key = next((key for key in keys if key in _in_use), keys[-1])
    coco = _in_use.get(key)
    if coco is None:
        text = read_text(path, backend_args)
        if not outlines:
            text = _OUTLINE.sub('"segmentation":[]', text)
        coco = _check(path, parse_json(text, path))
    if file is not None:
        _in_use[key] = coco
        _kept.pop((file, True), None)
        _kept.pop((file, False), None)
        if keep:
            _kept[key] = coco
    return coco


def release_coco_files() -> None:
    """Let go of the files that ``read_coco(keep=True)`` holds and nobody has asked for."""
    _kept.clear()


def _identity(path: str) -> tuple | None:
    try:
        status = os.stat(path)
    except (OSError, ValueError):  # reading it says what is wrong
        return None
    return os.path.abspath(path), status.st_mtime_ns, status.st_size


def _check(path: str, content: Any) -> CocoFile:
    if not isinstance(content, dict):
        raise ValueError(f'{path}: not a COCO file: it holds a {type(content).__name__}, no object')
    for part in ('images', 'categories', 'annotations'):
        if part not in content:
            if part != 'annotations':
                raise ValueError(f'{path}: not a COCO file: it has no list of {part!r}')
        elif not isinstance(content[part], list):
            raise ValueError(f'{path}: {part} should be a list, got {show(content[part])}')
    coco = CocoFile(path, content['images'], content['categories'],
                    content.get('annotations', []), 'annotations' in content)
    for part in ('images', 'categories', 'annotations'):
        _check_entries(path, part, getattr(coco, part))
    _check_names(path, coco.categories)
    return coco


#: The fields that are checked where they are there: field -> judge and what is right.
_FIELDS: dict[str, dict[str, tuple[Callable, str]]] = {
    'images': {
        'id': (values.are_ids, 'an integer or text'),
        'file_name': (values.are_texts, 'text'),
        'width': (values.are_sizes, 'a positive whole number of pixels'),
        'height': (values.are_sizes, 'a positive whole number of pixels'),
    },
    'categories': {
        'id': (values.are_ids, 'an integer or text'),
        'name': (values.are_texts, 'text'),
    },
    'annotations': {
        'id': (values.are_ids, 'an integer or text'),
        'image_id': (values.are_ids, 'an integer or text'),
        'category_id': (values.are_ids, 'an integer or text'),
        'bbox': (values.are_boxes, 'four finite numbers x, y, w, h'),
        'area': (values.are_areas, 'a number, 0 or more'),
        'iscrowd': (values.are_flags, '0 or 1'),
        'ignore': (values.are_flags, '0 or 1'),
    },
}
_REQUIRED = ('id', 'file_name', 'name', 'image_id', 'category_id')


def _check_entries(path: str, part: str, entries: list) -> None:
    if not set(map(type, entries)) <= {dict}:
        index = next(i for i, entry in enumerate(entries) if not isinstance(entry, dict))
        raise ValueError(f'{path}: {part}[{index}] should be an object, got {show(entries[index])}')
    for field, (judge, right) in _FIELDS[part].items():
        column = _column(path, part, entries, field, required=field in _REQUIRED)
        if not judge(column):
            index = next(i for i, entry in enumerate(entries)
                         if field in entry and not judge([entry[field]]))
            raise ValueError(f'{path}: {_entry(part, entries, index)}: {field} '
                             f'{show(entries[index][field])} should be {right}')
    counts = Counter(entry['id'] for entry in entries)
    if len(counts) != len(entries):
        twice = [key for key, count in counts.items() if count > 1]
        names = [repr(entry['name']) for entry in entries if entry['id'] == twice[0]] \
            if part == 'categories' else []
        raise ValueError(
            f'{path}: {len(twice)} {_SINGULAR[part]} id(s) are not unique, first {show(twice[:5])}'
            + (f' ({" and ".join(names[:5])})' if names else ''))


def _column(path: str, part: str, entries: list[dict], field: str, required: bool = True) -> list:
    """The values of a field; where it is required, every entry has it."""
    column = [entry[field] for entry in entries if field in entry]
    if required and len(column) != len(entries):
        index = next(i for i, entry in enumerate(entries) if field not in entry)
        raise ValueError(f'{path}: {_entry(part, entries, index)} has no {field!r}')
    return column


_SINGULAR = {'images': 'image', 'categories': 'category', 'annotations': 'annotation'}


def _entry(part: str, entries: list[dict], index: int) -> str:
    """How a message names an entry: by its id where it has one, else by its place."""
    entry = entries[index]
    name = f'{_SINGULAR[part]} {show(entry["id"])}' if 'id' in entry else f'{part}[{index}]'
    return f'{name} of image {show(entry["image_id"])}' if 'image_id' in entry else name


def _check_names(path: str, categories: list[dict]) -> None:
    ids = defaultdict(list)
    for category in categories:
        ids[category['name']].append(category['id'])
    repeated = [name for name, found in ids.items() if len(found) > 1]
    if repeated:
        raise ValueError(f'{path}: category names are repeated: {show(repeated)} (ids '
                         f'{" and ".join(map(show, ids[repeated[0]][:5]))})')
