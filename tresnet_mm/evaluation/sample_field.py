"""The part of a sample that a metric of image labels reads."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def read_field(sample: Mapping[str, Any], field: str | None, target: str,
               metric: str) -> Mapping[str, Any] | None:
    """What a metric reads of a sample.

    Args:
        sample: As an evaluator gives it.
        field: Name of an image head whose labels and predictions are meant; None for those of the
            sample itself.
        target: Name of the ground truth.
        metric: Name of the metric, for messages.

    Returns:
        The part, which names its image; None where nobody has labelled this image.

    Raises:
        ValueError: There are no predictions of that head.
    """
    if field is None:
        unboxed = sample.get('has_boxes') is False and target not in sample
        return None if unboxed else sample
    part = sample.get(field)
    if not isinstance(part, Mapping) or 'pred_scores' not in part:
        found = sorted(key for key, value in sample.items()
                       if isinstance(value, Mapping) and 'pred_scores' in value)
        raise ValueError(f'{metric}(field={field!r}): there are no predictions of an image head of '
                         f'this name, those of the model are {found or "none"}')
    if target not in part:
        return None
    return {'img_path': sample.get('img_path'), 'img_id': sample.get('img_id'), **part}


def labelled(results: list, field: str | None = None) -> list:
    """The results of labelled images: of the others a metric keeps None, for the count of them.

    Raises:
        ValueError: If there are none; names the ``field``.
    """
    known = [result for result in results if result is not None]
    if results and not known:
        raise ValueError(f'none of the {len(results)} images has labels '
                         f'{"" if field is None else f"of {field!r} "}to measure by')
    return known


def field_classes(dataset_meta: dict | None, field: str | None) -> dict | None:
    """The metainfo with the classes of a named head in the place of the boxes'."""
    if field is None:
        return dataset_meta
    return dict(classes=((dataset_meta or {}).get('image_classes') or {}).get(field))
