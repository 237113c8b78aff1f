"""Lists of class names."""
from __future__ import annotations

from collections.abc import Sequence


def check_classes(classes: Sequence[str], where: str) -> tuple[str, ...]:
    """See that ``classes`` is a list of names, each once.

    Args:
        classes: What ``metainfo['classes']`` or a file gives.
        where: The file or setting, for messages.

    Returns:
        The names as a tuple.

    Raises:
        ValueError: It is one string where a tuple is meant, is empty, holds something else than
            names, or a name twice.
    """
    if isinstance(classes, str):
        raise ValueError(
            f'{where}: classes is the string {classes!r}, not a tuple of names: for one class '
            f'write classes=({classes!r}, ) with its comma')
    if not isinstance(classes, Sequence):
        raise ValueError(f'{where}: classes should be a tuple of names, got {classes!r}')
    for name in classes:
        if not isinstance(name, str) or not name:
            raise ValueError(f'{where}: class names should be text and not empty, got {name!r}')
    if not classes:
        raise ValueError(f'{where}: the class list is empty')
    if len(set(classes)) != len(classes):
        repeated = sorted({name for name in classes if list(classes).count(name) > 1})
        raise ValueError(f'{where}: class names are repeated: {repeated}')
    return tuple(classes)
