"""The published file: weights that say which model they are of, and how to run it.

It is a ``.safetensors`` file whose metadata hold ``format`` = ``pt``, ``meta`` (what mmengine keeps
beside a state dict, as JSON) and ``tresnet_mm``: one JSON object with the fields of `Published`,
where a tuple is written as ``{"_tuple_": [...]}``, since mmcv takes a list for one nowhere. What
reads it holds it to `check_config` first: the file may be a stranger's.
"""

import json
import math
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, NoReturn

from safetensors import SafetensorError, safe_open

from ..archs import ARCHS
from .plain_config import MODEL_REGISTRIES, PIPELINE_REGISTRIES, check_config

#: The metadata's key.
KEY = 'tresnet_mm'
TASKS = ('detection', 'multi-label', 'single-label', 'both')
_TUPLE = '_tuple_'
#: Ten times that of a detector of 10,000 classes.
_MAX_SIZE = 8 << 20
_MAX_CLASSES = 100_000
_MAX_TEXT = 1000


@dataclass(frozen=True)
class Published:
    """What a published file says of its model. Its values have been checked; see `check_config`."""

    task: str
    """One of `TASKS`."""
    arch: str
    """Key of `ARCHS`; '' for a custom one."""
    model: dict[str, Any]
    """Config of the model, without ``init_cfg`` and the like."""
    test_pipeline: list[dict[str, Any]]
    """Config of the transforms that make the model's input from an image."""
    dataset_meta: dict[str, Any]
    """``classes``, a list of names, ``palette``, a list of RGB colours (0 to 255) or None, and
    ``image_classes``, a list of names for each named image head, where the model has some."""
    thresholds: list[float] | None = None
    """Probability in [0, 1] for each class above which an image has its label."""
    metrics: dict[str, float] = field(default_factory=dict)
    """What was measured, by the name that the metric gives it."""
    version: str = ''
    """Of tresnet_mm when it wrote the file."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Keys that this version does not know: plain values."""


def read_published(path: str | Path) -> Published | None:
    """Read what a weights file says of its model, without its weights.

    The model and the pipeline are built in mmdet's scope: ``init_default_scope('mmdet')``.

    Returns:
        None for a weights file of another kind.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, or says what no published file may say.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f'checkpoint {path} does not exist')
    if path.suffix != '.safetensors':
        return None
    try:
        with safe_open(path, framework='pt') as file:
            text = (file.metadata() or {}).get(KEY)
    except (SafetensorError, OSError) as error:
        raise ValueError(f'checkpoint {path} is damaged or no safetensors file: {error}') from error
    if text is None:
        return None
    try:
        return from_json(text)
    except ValueError as error:
        raise ValueError(f'checkpoint {path}: its metadata {KEY!r}: {error}') from error


def to_json(published: Published) -> str:
    """The text for the metadata; one that `from_json` reads as the same.

    Raises:
        ValueError: If something in it has no place in a published file.
    """
    content = asdict(published)
    extra = content.pop('extra')
    try:
        text = json.dumps(_pack(content) | _pack(extra), allow_nan=False)
    except TypeError as error:
        raise ValueError(str(error)) from error
    if from_json(text) != published:
        raise ValueError('it holds something that JSON does not keep as it is')
    return text


def from_json(text: str) -> Published:
    """Read and check the metadata's text.

    Raises:
        ValueError: If it is no such JSON, or says what no published file may say.
    """
    if len(text) > _MAX_SIZE:
        raise ValueError(f'it is larger than {_MAX_SIZE >> 20} MiB')
    try:
        content = _unpack(json.loads(text, parse_constant=_no_constant))
    except RecursionError:
        raise ValueError('it has too many levels') from None
    if not isinstance(content, dict):
        raise ValueError(f'it is a {type(content).__name__}, not a JSON object')
    names = [entry.name for entry in fields(Published) if entry.name != 'extra']
    missing = [name for name in names if name not in content]
    if missing:
        raise ValueError(f'it lacks {", ".join(missing)}')
    known = {name: content.pop(name) for name in names}
    published = Published(**known, extra=content)
    _check(published)
    return published


def _check(published: Published) -> None:
    """See that every field is what `Published` says of it; ValueError if not."""
    if published.task not in TASKS:
        raise ValueError(f'task is {published.task!r:.80}, not one of {", ".join(TASKS)}')
    if published.arch != '' and (not isinstance(published.arch, str)
                                 or published.arch not in ARCHS):
        raise ValueError(f'arch is {published.arch!r:.80}, not one of {", ".join(ARCHS)}')
    if not isinstance(published.version, str) or len(published.version) > _MAX_TEXT:
        raise ValueError('version is no text')
    if not isinstance(published.model, dict) or 'type' not in published.model:
        raise ValueError("model is no dict with a 'type'")
    check_config(published.model, 'model', MODEL_REGISTRIES)
    pipeline = published.test_pipeline
    if not isinstance(pipeline, list) or not all(
            isinstance(step, dict) and 'type' in step for step in pipeline):
        raise ValueError("test_pipeline is no list of dicts with a 'type'")
    check_config(pipeline, 'test_pipeline', PIPELINE_REGISTRIES)
    _check_dataset_meta(published.dataset_meta)
    _check_image_heads(published)
    _check_numbers(published)


def _check_dataset_meta(meta: Any) -> None:
    if not isinstance(meta, dict) or set(meta) - {'image_classes'} != {'classes', 'palette'}:
        raise ValueError('dataset_meta is no dict of classes and palette')
    classes, palette = meta['classes'], meta['palette']
    if not _are_names(classes):
        raise ValueError('dataset_meta.classes is no list of names')
    if palette is not None and (not isinstance(palette, list) or len(palette) < len(classes) or any(
            not isinstance(colour, (list, tuple)) or len(colour) != 3
            or not all(type(part) is int and 0 <= part <= 255 for part in colour)
            for colour in palette)):
        raise ValueError('dataset_meta.palette is no list of RGB colours, one for each class')


def _check_image_heads(published: Published) -> None:
    """See that the named image heads are some, and what is said of their classes is of them."""
    heads, classes = published.model.get('image_heads'), published.dataset_meta.get('image_classes')
    if heads is not None and (not isinstance(heads, dict)
                              or not all(isinstance(head, dict) for head in heads.values())):
        raise ValueError('model.image_heads is no dict of heads by name')
    if 'image_classes' in published.dataset_meta and (
            not isinstance(classes, dict) or not classes or not set(classes) <= set(heads or ())):
        raise ValueError('dataset_meta.image_classes is no dict of lists of names, one for each of '
                         'model.image_heads')
    for name, head in (heads or {}).items():
        count = head.get('num_classes')
        if classes and name in classes:
            if not _are_names(classes[name]) or len(set(classes[name])) < len(classes[name]):
                raise ValueError(f'dataset_meta.image_classes.{name} is no list of names, each '
                                 'once')
            if len(classes[name]) != count:
                raise ValueError(f'dataset_meta.image_classes.{name} has {len(classes[name])} '
                                 f'names, but model.image_heads.{name}.num_classes is {count!r}')
        if isinstance(head.get('thresholds'), list) and not _are_thresholds(
                head['thresholds'], count):
            raise ValueError(f'model.image_heads.{name}.thresholds are no list of {count} '
                             'probabilities, one for each class')


def _are_names(names: Any) -> bool:
    return isinstance(names, list) and 0 < len(names) <= _MAX_CLASSES and all(
        isinstance(name, str) and 0 < len(name) <= _MAX_TEXT for name in names)


def _are_thresholds(values: Any, count: int) -> bool:
    return isinstance(values, list) and len(values) == count and all(
        _is_number(value) and 0 <= value <= 1 for value in values)


def _check_numbers(published: Published) -> None:
    thresholds, metrics = published.thresholds, published.metrics
    count = len(published.dataset_meta['classes'])
    if thresholds is not None and not _are_thresholds(thresholds, count):
        raise ValueError(f'thresholds are no list of {count} probabilities, one for each class')
    if not isinstance(metrics, dict) or not all(
            isinstance(name, str) and len(name) <= _MAX_TEXT and _is_number(value)
            for name, value in metrics.items()):
        raise ValueError('metrics is no dict of finite numbers')


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= sys.float_info.max  # nor NaN


def _pack(value: Any) -> Any:
    """Tuples as dicts of one key, all the way down."""
    if isinstance(value, Mapping):
        return {name: _pack(part) for name, part in value.items()}
    if isinstance(value, tuple):
        return {_TUPLE: [_pack(part) for part in value]}
    return [_pack(part) for part in value] if isinstance(value, list) else value


def _unpack(value: Any) -> Any:
    """The reverse of `_pack`; refuses numbers that are not finite, such as 1e999."""
    if isinstance(value, dict):
        if set(value) == {_TUPLE} and isinstance(value[_TUPLE], list):
            return tuple(_unpack(part) for part in value[_TUPLE])
        return {name: _unpack(part) for name, part in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError('it has a number that is not finite')
    return [_unpack(part) for part in value] if isinstance(value, list) else value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f'it has the number {name}')
