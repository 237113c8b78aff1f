"""The scores of image labels that ``tresnet-mm test --out scores.npz`` wrote."""
from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..evaluation.dump_multilabel_scores import head_file


class SavedScores(NamedTuple):
    """The scores of one image-level head on the images of a data set."""

    scores: np.ndarray
    """(N, C) probabilities."""
    targets: np.ndarray
    """(N, C) of 1, 0 and -1."""
    classes: list[str]
    """(C,) names."""
    images: list[str]
    """(N,) files."""
    head: str | None = None
    """Name of the named image head that they are of; None for the one without a name."""
    one_label: bool = False
    """Whether the head gives each image exactly one label."""


def read_scores(path: str | Path) -> SavedScores:
    """Read a file that `DumpMultiLabelScores` wrote.

    Raises:
        ValueError: If it is no such file.
    """
    try:
        with np.load(path) as data:
            return SavedScores(
                data['scores'], data['targets'], data['classes'].tolist(), data['images'].tolist(),
                str(data.get('head', '')) or None, bool(data.get('one_label', False)))
    except (KeyError, ValueError, OSError, EOFError) as error:
        raise ValueError(f'{path} is no file of scores that tresnet-mm test --out wrote: {error}'
                         ) from error


def read_head_scores(path: str | Path, head: str | None) -> SavedScores:
    """The scores of one head, from the file that ``--out`` named or from the one beside it.

    Raises:
        FileNotFoundError: If there is none of this head.
        ValueError: If it is no such file.
    """
    for file in (head_file(path, head), Path(path)):
        if file.is_file() and (saved := read_scores(file)).head == head:
            return saved
    raise FileNotFoundError(f'{head_file(path, head)} does not exist' if head else
                            f'{path} does not exist, or holds the scores of a named image head')


def has_scores(path: str | Path, head: str | None) -> bool:
    """Whether there are scores of a head, see `read_head_scores`."""
    return any(file.is_file() and _head_of(file) == head for file in (head_file(path, head),
                                                                      Path(path)))


def scores_of_heads(path: str | Path) -> dict[Path, SavedScores]:
    """What one ``--out`` wrote, of all heads: the file itself, and those beside it.

    Raises:
        FileNotFoundError: If there is neither.
        ValueError: If the file itself holds something else.
    """
    path = Path(path)
    found = {path: read_scores(path)} if path.is_file() else {}
    name = re.compile(re.escape(path.stem) + r'\.([^\W\d]\w*)' + re.escape(path.suffix))
    for file in sorted(path.parent.glob(f'*{path.suffix}')):
        match = name.fullmatch(file.name)
        if match and _head_of(file) == match.group(1):
            found[file] = read_scores(file)
    if not found:
        raise FileNotFoundError(f'{path} does not exist')
    return found


def _head_of(path: Path) -> str | None:
    try:
        return read_scores(path).head
    except ValueError:  # of something else that has such a name
        return None
