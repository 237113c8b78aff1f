"""MATLAB files (version 5) from strangers, by SciPy, which runs nothing of them."""
from __future__ import annotations

from typing import Any

import numpy as np

from .text_file import check_regular_file


def read_mat(path: str, *names: str) -> list[np.ndarray]:
    """Read variables of a ``.mat`` file.

    Raises:
        FileNotFoundError: There is no such file.
        ImportError: SciPy is not installed.
        ValueError: It is no such file, or lacks a variable.
    """
    check_regular_file(path)
    try:
        from scipy.io import loadmat
    except ImportError:
        raise ImportError(f'{path!r} is a MATLAB file: reading it needs SciPy '
                          '(pip install scipy)') from None
    try:
        found: dict[str, Any] = loadmat(path, variable_names=names)
    except Exception as error:  # SciPy raises many kinds for damaged files
        raise ValueError(f'{path!r} is no readable MATLAB file of version 5: {error}') from error
    missing = [name for name in names if name not in found]
    if missing:
        raise ValueError(f'{path!r} has no variable {", ".join(missing)}')
    return [found[name] for name in names]
