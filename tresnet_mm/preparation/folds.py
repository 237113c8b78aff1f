"""Own data in folds, for cross-validation."""
from __future__ import annotations

from .image_groups import Group
from .source_data import SourceData
from .split import split


def folds(data: SourceData, k: int, seed: int = 0,
          group: Group = None) -> list[dict[str, list[int]]]:
    """Divide all images ``k`` times so that each is in the validation part once.

    Args:
        data: The source.
        k: Number of folds, at least 2.
        seed: As in `split`.
        group: As in `split`.

    Returns:
        ``k`` dicts of 'train' and 'val' to indices into ``data.images``, rising.

    Raises:
        ValueError: As `split`; or if ``k`` is below 2.
    """
    if k < 2:
        raise ValueError(f'there must be at least 2 folds, got {k}')
    parts = split(data, {str(fold): 1 / k for fold in range(k)}, seed, group).values()
    return [dict(train=sorted(index for other in parts if other is not val for index in other),
                 val=val) for val in parts]
