"""Images that belong together: of one scene, one patient, one video."""
from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from ..datasets.annotations import parse_json, read_text
from .source_data import SourceData

#: A regular expression over images' names, or the group of each name.
Group: TypeAlias = 'str | Mapping[str, str] | None'


def read_groups(path: str | Path) -> dict[str, str]:
    """Read a JSON object of the group of each image's name, as the report's ``groups.json``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it holds something else.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'{path}: there is no such file of groups')
    groups = parse_json(read_text(str(path)), str(path))
    if not isinstance(groups, dict) or not all(isinstance(g, str) for g in groups.values()):
        raise ValueError(f'{path}: should be a JSON object of image names with their groups as '
                         'text, {"a.jpg": "scene 1", ...}')
    return groups


def image_groups(data: SourceData, members: Sequence[int], group: Group) -> list[str]:
    r"""The group of each of some images.

    Args:
        data: The source.
        members: Indices into ``data.images``.
        group: A regular expression, found anywhere in an image's name; its first group is the
            image's, or else all that it matches: ``^([^/]+)/`` is the first folder, ``patient\d+``
            a number in the name. Or a mapping from name to group. None: each image on its own.

    Raises:
        ValueError: If the expression is none, or an image has no group.
    """
    names = [data.images[index].name for index in members]
    if group is None:
        return names
    if isinstance(group, str):
        keys = _by_expression(names, group)
        told = f'the expression {group!r} finds nothing in the name'
    else:
        keys = [group.get(name) for name in names]
        told = 'there is no group'
    without = [name for name, key in zip(names, keys, strict=True) if key is None]
    if without:
        raise ValueError(f'{told} of {len(without)} of {len(names)} images; {without[0]} is the '
                         f'first')
    return [str(key) for key in keys]


def _by_expression(names: Sequence[str], expression: str) -> list[str | None]:
    try:
        pattern = re.compile(expression)
    except re.error as error:
        raise ValueError(f'the group {expression!r} is no regular expression: {error}') from None
    found = [pattern.search(name) for name in names]
    return [match and match.group(1 if pattern.groups else 0) for match in found]
