"""NUS-WIDE's lists: names of images, and a file of ones and zeros for each concept."""
from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .text_file import read_text


def read_image_list(path: str, backend_args: Mapping | None = None) -> list[str]:
    r"""Read names of images, such as ``actor\0001_2124494179.jpg``, one a line.

    Raises:
        FileNotFoundError, ValueError: As `read_text`; a line in the middle is empty.
    """
    lines = [line.strip() for line in read_text(path, backend_args).rstrip().split('\n')]
    if '' in lines:
        raise ValueError(f'{path}:{lines.index("") + 1}: no name')
    return lines


def read_label_column(path: str, count: int, where: str,
                      backend_args: Mapping | None = None) -> np.ndarray:
    """Read which images a concept is in: 1 or 0 a line.

    Args:
        path: The file.
        count: How many images there are.
        where: Their list, for messages.
        backend_args: Arguments of mmengine's file backend.

    Returns:
        Bool (count,).

    Raises:
        FileNotFoundError, ValueError: As `read_text`; with the line, something else than 1 or 0;
            more lines than images or fewer.
    """
    lines = [line.strip() for line in read_text(path, backend_args).rstrip().split('\n')]
    for number, line in enumerate(lines, start=1):
        if line not in ('0', '1'):
            raise ValueError(f'{path}:{number}: a label is 1 or 0, got {line[:60]!r}')
    if len(lines) != count:
        raise ValueError(f'{path} has {len(lines)} lines, but {where} lists {count} images')
    return np.array(lines) == '1'
