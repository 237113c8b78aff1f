"""From a trained model's config and what its checkpoint says to a published file."""

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mmengine.registry import Registry
from torch import Tensor

from ..archs import ARCHS
from ..config_tree import dataset_parts, image_head, named_heads, parts, type_name
from .conversion import recorded_norm
from .formats import TAG
from .plain_config import DROPPED_KEYS, MODEL_REGISTRIES, PIPELINE_REGISTRIES, registered
from .published import KEY, Published, to_json
from .safetensors_file import write_safetensors

#: In which `read_published`'s readers build.
_SCOPE = 'mmdet'
#: Written by mmengine where a config inherits one of this package; finds what mmdet's finds.
_OWN_SCOPE = ('_scope_', 'tresnet_mm')


def describe(cfg: Mapping[str, Any], dataset_meta: Mapping[str, Any],
             thresholds: Sequence[float] | None = None,
             metrics: Mapping[str, float] | None = None, version: str = '',
             named_thresholds: Mapping[str, Sequence[float]] = MappingProxyType({})) -> Published:
    """What a published file says of a model.

    Args:
        cfg: The whole config, or its ``model``, ``test_dataloader`` and ``default_scope``.
        dataset_meta: ``classes`` and, where there are some, ``palette`` and ``image_classes``.
        thresholds: (num_classes,) probabilities, for labels.
        metrics: What was measured.
        version: Of tresnet_mm.
        named_thresholds: Those of named image heads, in the order of their own classes.

    Raises:
        ValueError: If the config lacks a part, the classes are not as many as the model's, or
            something has no place in a published file: the model may be built from the result.
    """
    if not isinstance(cfg.get('model'), Mapping):
        raise ValueError('the config has no model')
    scope = cfg.get('default_scope') or _SCOPE
    model = plain(cfg['model'], MODEL_REGISTRIES, scope)
    classes = [str(name) for name in dataset_meta.get('classes') or ()]
    _check_count(model, classes)
    values = None if thresholds is None else [float(value) for value in thresholds]
    head = image_head(model)
    if head is not None and values is not None:
        head['thresholds'] = values
    elif values is not None:
        raise ValueError('there are thresholds for labels, but the model has no image-level head')
    for name, own in named_thresholds.items():
        named_heads(model)[name]['thresholds'] = [float(value) for value in own]
    meta: dict[str, Any] = dict(
        classes=classes, palette=_palette(dataset_meta.get('palette'), len(classes)))
    if named := _image_classes(model, dataset_meta.get('image_classes')):
        meta['image_classes'] = named
    published = Published(
        _task(model), _arch(model), model, plain(_pipeline(cfg), PIPELINE_REGISTRIES, scope), meta,
        values, {str(name): float(value) for name, value in (metrics or {}).items()}, version)
    to_json(published)
    return published


def plain(node: Any, registries: tuple[Registry, ...], scope: str) -> Any:
    """A part of a config as plain data: without what names weights or files, its classes by name.

    Args:
        node: Part of a config of either style.
        registries: Where its ``type``s are registered.
        scope: The config's default scope.
    """
    if isinstance(node, Mapping):
        if _OWN_SCOPE in node.items():
            scope = _SCOPE
        return {name: _type(value, registries, scope) if name == 'type'
                else plain(value, registries, scope)
                for name, value in node.items()
                if name not in DROPPED_KEYS and (name, value) != _OWN_SCOPE}
    if isinstance(node, (list, tuple)):
        return type(node)(plain(part, registries, scope) for part in node)
    return node


def write_published(path: Path, published: Published, state_dict: Mapping[str, Tensor]) -> str:
    """Write weights and what is said of them; the file is on the disk when this returns.

    Args:
        path: Target, with the suffix ``.safetensors``; overwritten.
        published: What is said.
        state_dict: Of the model that ``published.model`` builds, with its metadata.

    Returns:
        The file's SHA-256.

    Raises:
        ValueError: If something has no place in a published file.
    """
    said = {key: value for key, value in published.dataset_meta.items() if value is not None}
    meta: dict[str, Any] = dict(dataset_meta=said)
    if norm := recorded_norm(state_dict, 'backbone'):
        meta[TAG] = dict(norm=norm, arch=published.arch)
    write_safetensors(path, dict(state_dict), meta, **{KEY: to_json(published)})
    path.chmod(0o644)  # safetensors makes files that nobody else can read
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
        os.fsync(file.fileno())
    return digest.hexdigest()


def _type(kind: Any, registries: tuple[Registry, ...], scope: str) -> Any:
    """The name under which readers find the class that a config's ``type`` means."""
    name = type_name(kind)
    if not isinstance(kind, str):
        found = [item for item in registered(name, registries) if item is kind]
        return name if found else f'{getattr(kind, "__module__", "")}.{name}'
    module = kind.rpartition('.')[0]
    if '.' in module or not registered(kind, registries):  # as pure-Python configs are written
        for item in registered(name, registries) if module else ():
            if f'{item.__module__}.'.startswith(f'{module}.'):
                return name
        return kind
    return kind if module else _with_scope(kind, registries, scope)


def _with_scope(name: str, registries: tuple[Registry, ...], scope: str) -> str:
    """The name, with its class's scope before it where it would mean another class without."""
    for root in registries:
        (meant, own), (read, _) = (_in_scope(root, where, name) for where in (scope, _SCOPE))
        if meant is not None and meant is not read:
            return f'{own}.{name}'
    return name


def _in_scope(root: Registry, scope: str, name: str) -> tuple[Any, str]:
    """What a name means in a scope, None for nothing, and in which it is: this or the root's."""
    registry = root.children.get(scope, root)
    if name not in registry.module_dict:
        registry = root
    return registry.module_dict.get(name), registry.scope


def _task(model: Mapping[str, Any]) -> str:
    if 'detector' in model:
        return 'both'
    if 'head' not in model:
        return 'detection'
    single = type_name(model['head'].get('type')) == 'SingleLabelHead'
    return 'single-label' if single else 'multi-label'


def _arch(model: Mapping[str, Any]) -> str:
    backbone = model.get('detector', model).get('backbone', {})
    arch = backbone.get('arch', 'm') if type_name(backbone.get('type')) == 'TResNet' else ''
    return arch if isinstance(arch, str) and arch in ARCHS else ''


def _pipeline(cfg: Mapping[str, Any]) -> Any:
    loader = cfg.get('test_dataloader') or cfg.get('val_dataloader') or {}
    for _, dataset in dataset_parts(loader.get('dataset'), 'test_dataloader.dataset'):
        if dataset.get('pipeline'):
            return list(dataset['pipeline'])
    raise ValueError('the config has no test_dataloader with a pipeline')


def _check_count(model: Mapping[str, Any], classes: Sequence[str]) -> None:
    counts = {part['num_classes'] for key, part in parts(model)
              if type(part.get('num_classes')) is int
              and not key.startswith('image_heads.')}  # whose classes are others
    if counts and len(classes) not in counts:
        raise ValueError(f'there are {len(classes)} class names, but the model has '
                         f'{" or ".join(map(str, sorted(counts)))} classes')


def _image_classes(model: Mapping[str, Any], given: Any) -> dict[str, list[str]]:
    """The class names of the model's named heads, as far as the data name them."""
    if not isinstance(given, Mapping):
        return {}
    return {name: [str(text) for text in given[name]] for name in named_heads(model)
            if isinstance(given.get(name), (list, tuple))}


def _palette(palette: Any, count: int) -> list[list[int]] | None:
    """The colours as lists; None where they are not one for each class."""
    if not isinstance(palette, (list, tuple)) or len(palette) < count:
        return None
    return [list(colour) for colour in palette]


def safe_stem(name: str) -> str:
    """A file's name without suffix, of letters, digits and ``._-``, without a hash at its end."""
    stem = Path(name.partition('@')[0]).name
    stem = re.sub(r'\.(safetensors|pth?|bin|ckpt)$', '', stem)
    stem = re.sub(r'-[0-9a-f]{8}$', '', stem)
    return re.sub(r'[^\w.-]+', '_', stem, flags=re.ASCII) or 'model'
