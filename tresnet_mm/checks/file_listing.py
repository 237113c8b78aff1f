"""Which image files a data set names, and which of them are there."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from mmcv.transforms import LoadImageFromFile
from mmengine.registry import TRANSFORMS, DefaultScope

from ..datasets.annotations import is_local

#: Of how many files of a data set it is asked whether they are there.
MOST_FILES = 200_000


def missing_files(paths: Sequence[str]) -> list[str]:
    """Those of some paths where no file is, in order.

    Each folder is listed once: to ask for every single file takes long on network drives.
    """
    names: dict[str, set[str]] = defaultdict(set)
    for path in paths:
        folder, name = os.path.split(path)
        names[folder].add(name)
    there = {folder: _found(folder, wanted) for folder, wanted in names.items()}
    return [path for path in paths if os.path.basename(path) not in there[os.path.dirname(path)]]


def _found(folder: str, wanted: set[str]) -> set[str]:
    """Those of some names that are files of a folder, or links to some."""
    found = set()
    try:
        with os.scandir(folder or '.') as entries:
            for entry in entries:
                if entry.name in wanted and (not entry.is_symlink() or os.path.exists(entry.path)):
                    found.add(entry.name)
    except OSError:  # no such folder, or one that may be entered, but not listed
        pass
    # where the file system knows names by other letters, the listing has another
    return found | {name for name in wanted - found if os.path.exists(os.path.join(folder, name))}


def listed_files(cfg: Mapping[str, Any], images: Sequence[Mapping[str, Any]]) -> list[str]:
    """The files of a data set's images, by their entries in its COCO file; see `evenly`."""
    if not loads_local_files(cfg):
        return []
    folder = os.path.join(cfg.get('data_root') or '', (cfg.get('data_prefix') or {}).get('img', ''))
    taken = cfg.get('indices')
    if isinstance(taken, int):
        images = images[:taken] if taken >= 0 else images[taken:]
    elif taken is not None:
        images = [images[i] for i in taken]
    return [os.path.join(folder, image['file_name'].replace('\\', '/'))
            for image in evenly(images) if isinstance(image.get('file_name'), str)]


def evenly(items: Sequence[Any]) -> Sequence[Any]:
    """All of some items, or `MOST_FILES` of them from first to last."""
    if len(items) <= MOST_FILES:
        return items
    return [items[i * len(items) // MOST_FILES] for i in range(MOST_FILES)]


def loads_local_files(cfg: Mapping[str, Any]) -> bool:
    """Whether a data set's pipeline reads its images from files of this machine."""
    scope = DefaultScope.get_current_instance()
    for step in cfg.get('pipeline') or ():
        kind = step.get('type') if isinstance(step, Mapping) else None
        if isinstance(kind, str):
            with TRANSFORMS.switch_scope_and_registry(
                    'mmengine' if scope is None else scope.scope_name) as registry:
                kind = registry.get(kind)
        if isinstance(kind, type) and issubclass(kind, LoadImageFromFile):
            backends = (step.get('backend_args'), step.get('file_client_args'),
                        cfg.get('backend_args'))
            return all(is_local('', backend) for backend in backends) and is_local(
                cfg.get('data_root') or '')
    return False
