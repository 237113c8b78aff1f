"""A number for each class in a JSON file, with the names of the classes beside them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .whole_file import write_text


def save_class_values(path: str | Path, name: str, values: Sequence[float] | np.ndarray,
                      classes: Sequence[str], **extra: Any) -> None:
    """Write ``{"classes": [...], NAME: [...]}``; ``extra`` is stored beside them."""
    content = {'classes': list(classes), name: [float(value) for value in values], **extra}
    write_text(path, json.dumps(content, indent=2) + '\n')


def read_class_values(path: str | Path, name: str) -> tuple[list[str], list[float]]:
    """Class names and values of a file.

    Args:
        path: Written by `save_class_values`.
        name: What the values are called in it, and in messages.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It holds something else.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'{name} file {path} does not exist')
    try:
        content = json.loads(path.read_text())
        names, values = list(content['classes']), list(content[name])
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f'{path} is no file of {name}: it must hold a JSON object with the '
                         f'lists classes and {name} ({error!r})') from error
    if len(names) != len(values):
        raise ValueError(f'{path} holds {len(values)} {name} for {len(names)} classes')
    return names, values
