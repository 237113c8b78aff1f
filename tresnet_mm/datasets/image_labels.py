"""Labels of whole images, by the name of their kind (weather, scene), joined by file name."""
from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .annotations import ImageFolder, check_classes, read_label_table

#: File names that a message shows.
_SHOWN = 3

#: The labels of one image, by kind: sorted class indices that are present, and that are unknown.
NamedLabels = dict[str, tuple[list[int], list[int]]]


def read_image_labels(tables: Mapping[str, Any], classes: Mapping[str, Sequence[str]],
                      folder: ImageFolder, data_root: str = '',
                      backend_args: Mapping | None = None) -> dict[str, NamedLabels]:
    """Read the label tables of a data set.

    Args:
        tables: A file of `read_label_table` for each kind of label, relative to ``data_root`` or
            absolute; or ``dict(ann_file=FILE, label_separator=';')``.
        classes: The class list of each kind.
        folder: What the file names in the tables are relative to.
        data_root: Folder that relative files start from.
        backend_args: Arguments of mmengine's file backend.

    Returns:
        By path of the image, its labels by kind; a kind is missing where its table does not list
        the image.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A kind has no class list, or as `read_label_table`; a name is no class, or
            leaves the image folder.
    """
    labels: dict[str, NamedLabels] = {}
    for kind, table in tables.items():
        if kind not in classes:
            raise ValueError(
                f'image_labels has {kind!r}, but metainfo["image_classes"] has '
                f'{sorted(classes) or "no class list"}: give it the class list of {kind!r}')
        settings = dict(table) if isinstance(table, Mapping) else dict(ann_file=table)
        path = settings.pop('ann_file', None)
        if not isinstance(path, str) or not path or set(settings) - {'label_separator'}:
            raise ValueError(f'image_labels[{kind!r}] should be a file (.csv or .jsonl), or '
                             f'dict(ann_file=FILE, label_separator=";"), got {table!r}')
        path = path if '://' in path else os.path.join(data_root, path)
        index = {name: i for i, name in enumerate(check_classes(
            classes[kind], f'metainfo["image_classes"][{kind!r}]'))}
        for row in read_label_table(path, backend_args=backend_args, **settings).rows:
            where = f'{path}:{row.line}'
            unheard = [name for name in (*row.present, *row.unknown) if name not in index]
            if unheard:
                shown = list(index)[:10] + ['...'] * (len(index) > 10)
                raise ValueError(f'{where}: {unheard} not among the classes {shown} of {kind!r}')
            present = {index[name] for name in row.present}
            unknown = {index[name] for name in row.unknown} - present
            key = path_key(folder.path(row.img_path, where))
            labels.setdefault(key, {})[kind] = sorted(present), sorted(unknown)
    return labels


def require_join(labels: Mapping[str, NamedLabels], paths: Iterable[str], where: str,
                 extra_labels: bool = False) -> None:
    """See that the labelled images are images of a data set.

    Args:
        labels: What `read_image_labels` returns.
        paths: The images of the data set.
        where: The data set's file, for messages.
        extra_labels: Whether some may be of other images, as of another split.

    Raises:
        ValueError: Labelled images are not in the data set; names them and says how many. With
            ``extra_labels`` only if all are.
    """
    own = {path_key(path) for path in paths}
    for kind in sorted({kind for given in labels.values() for kind in given}):
        listed = [path for path, given in labels.items() if kind in given]
        strangers = [path for path in listed if path not in own]
        if strangers and not (extra_labels and len(strangers) < len(listed)):
            hint = ('' if len(strangers) == len(listed) else
                    '; extra_labels=True of the data set allows it, for one table of all splits')
            raise ValueError(
                f'{len(strangers)} of the {len(listed)} images with labels of {kind!r} are not in '
                f'{where}: {_some(strangers)} (it has {_some(sorted(own))}){hint}')


def path_key(path: str) -> str:
    """The path by which images are joined: ``a/./b.jpg`` is ``a/b.jpg``."""
    return path if '://' in path else os.path.normpath(path)


def _some(paths: Sequence[str]) -> str:
    return ', '.join([repr(path) for path in paths[:_SHOWN]] + ['...'] * (len(paths) > _SHOWN))
