"""What a model's classes are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.logging import print_log

from ..checks.model_facts import heads
from ..config_tree import named_heads
from ..datasets.annotations import check_classes
from .model_source import ModelSource


def dataset_meta(source: ModelSource, checkpoint: Mapping[str, Any],
                 model_meta: Mapping[str, Any] | None) -> dict[str, Any]:
    """Names and colours of the classes: the checkpoint's, or else the config's.

    Args:
        source: The config, and what a published file says.
        checkpoint: What was loaded, with what mmengine's runner keeps of the data under 'meta'.
        model_meta: What the model itself found in its file, like `MultiLabelClassifier`.

    Returns:
        ``classes``, a tuple of names, ``palette``, an RGB colour for each, or 'random', and
        ``image_classes``, the names of each named image head's. What has no names is numbered.

    Raises:
        ValueError: If there is another number of names than the model's heads have classes, or they
            are no names, each once.
    """
    counts = {head.key: head.num_classes for head in heads(source.cfg.model)}
    found = [(source.weights, source.published.dataset_meta if source.published else {}),
             (source.weights, _recorded(checkpoint)), (source.weights, model_meta or {}),
             ("the config's test data", source.dataset_meta)]
    for where, meta in found:
        if meta.get('classes') is not None:
            classes = check_classes(meta['classes'], where)
            break
    else:
        if not counts:
            raise ValueError(f'neither {source.weights} nor the config says what the classes are')
        classes = _numbered(max(counts.values()), 'the classes')
    for key, count in counts.items():
        if count != len(classes):
            raise ValueError(f'{where} names {len(classes)} classes, but {key} = {count}')
    palettes = (meta.get('palette') for _, meta in found)
    palette = next((p for p in palettes if _fits(p, len(classes))), None)
    # Tuples: mmengine takes a list, which JSON has in their place, for a list of colours.
    return dict(classes=classes, image_classes=_image_classes(found, source.cfg.model),
                palette='random' if palette is None else [tuple(colour) for colour in palette])


def _image_classes(found: Sequence[tuple[str, Mapping[str, Any]]], model: Mapping[str, Any]
                   ) -> dict[str, tuple[str, ...]]:
    """The class names of each named image head."""
    result = {}
    for name, head in named_heads(model).items():
        count = head['num_classes']
        given = [(where, meta['image_classes'][name]) for where, meta in found
                 if isinstance(meta.get('image_classes'), Mapping)
                 and name in meta['image_classes']]
        if not given:
            result[name] = _numbered(count, f'the classes of the image head {name!r}')
            continue
        where, names = given[0]
        result[name] = check_classes(names, f'{where}, image_classes[{name!r}],')
        if len(result[name]) != count:
            raise ValueError(f'{where} names {len(result[name])} classes of {name!r}, but '
                             f'model.image_heads.{name}.num_classes = {count}')
    return result


def _numbered(count: int, what: str) -> tuple[str, ...]:
    print_log(f'Neither the weights nor the config say what {what} are called: they are numbered, '
              f'0 to {count - 1}', 'current', 30)
    return tuple(map(str, range(count)))


def _recorded(checkpoint: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the runner kept of the data, by mmdet 3's name or by that of older versions."""
    meta = checkpoint.get('meta')
    if not isinstance(meta, Mapping):
        return {}
    recorded = meta.get('dataset_meta')
    if isinstance(recorded, Mapping):
        return {str(key).lower(): value for key, value in recorded.items()}
    return dict(classes=meta['CLASSES']) if 'CLASSES' in meta else {}


def _fits(palette: Any, count: int) -> bool:
    """Whether a palette, maybe from a stranger's file, has an RGB colour for each class."""
    return isinstance(palette, (list, tuple)) and len(palette) >= count and all(
        isinstance(colour, (list, tuple)) and len(colour) == 3
        and all(isinstance(part, int) and 0 <= part <= 255 for part in colour)
        for colour in palette)
