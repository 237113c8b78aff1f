"""Walking a config: its parts by their dotted keys, and the names of their types."""

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config


def type_name(kind: Any) -> str:
    """The bare name of what a config gives as ``type``, be it a string or the class itself.

    Args:
        kind: A name, with or without a registry's scope or a module before it, or, in mmengine's
            pure-Python configs, a class or function. None gives the empty string.

    Examples:
        >>> from collections import OrderedDict
        >>> type_name('mmdet.ResNet'), type_name(OrderedDict), type_name(None)
        ('ResNet', 'OrderedDict', '')
    """
    if kind is None:
        return ''
    name = kind if isinstance(kind, str) else getattr(kind, '__name__', type(kind).__name__)
    return name.rpartition('.')[2]


def parts(node: Any, key: str = '') -> Iterator[tuple[str, Any]]:
    """Yield all dicts in a part of a config with their dotted keys, each before those inside it.

    Args:
        node: A dict, list or tuple of a config; of anything else there are no parts.
        key: Where ``node`` is in the config.

    Examples:
        >>> [key for key, _ in parts(dict(neck=[dict(type='FPN')]), 'model')]
        ['model', 'model.neck.0']
    """
    if isinstance(node, Mapping):
        yield key, node
        for name, value in node.items():
            yield from parts(value, join(key, name))
    elif isinstance(node, (list, tuple)):
        for i, value in enumerate(node):
            yield from parts(value, join(key, i))


def join(*names: Any) -> str:
    """A dotted key from its steps; empty ones are left out."""
    return '.'.join(str(name) for name in names if name != '')


def dataset_parts(node: Any, key: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the innermost dataset configs, in the order in which their images are numbered.

    Args:
        node: Config of a dataset, of one that wraps another as ``dataset``, or several as
            ``datasets``.
        key: Where it is in the config.
    """
    if isinstance(node, (list, tuple)):
        for i, item in enumerate(node):
            yield from dataset_parts(item, join(key, i))
    elif isinstance(node, Mapping):
        if 'datasets' in node:
            yield from dataset_parts(node['datasets'], join(key, 'datasets'))
        elif isinstance(node.get('dataset'), (Mapping, list, tuple)):
            yield from dataset_parts(node['dataset'], join(key, 'dataset'))
        else:
            yield key, node


def metric_parts(node: Any, key: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the metrics of an evaluator, be it one metric, a list or mmengine's ``Evaluator``."""
    if isinstance(node, Mapping) and 'metrics' in node:
        yield from metric_parts(node['metrics'], join(key, 'metrics'))
    elif isinstance(node, Mapping):
        yield key, node
    elif isinstance(node, (list, tuple)):
        for i, item in enumerate(node):
            yield from metric_parts(item, join(key, i))


def image_head(model: Mapping[str, Any]) -> Any:
    """The config of a model's image-level head without a name, None if it has none."""
    return model.get('image_head' if 'detector' in model else 'head')


def named_heads(model: Mapping[str, Any]) -> Mapping[str, Any]:
    """The configs of a joint model's ``image_heads``, by name."""
    heads = model.get('image_heads')
    return heads if isinstance(heads, Mapping) else {}


def other_folder(cfg: Config, key: str, dataset: Mapping[str, Any]) -> str:
    """How to point a dataset to another folder, for messages about a file that is not there.

    Args:
        cfg: The config.
        key: Dotted key of the dataset in it.
        dataset: Its config.
    """
    root = dataset.get('data_root') or ''
    setting = join(key, 'data_root' if root else 'ann_file')
    variable = folder_variable(cfg, root or dataset['ann_file'])
    if variable is None:
        return f'set {setting}'
    return (f'set {variable} to the folder that holds it '
            f'(now {os.environ.get(variable, "not set")}), or {setting}')


def folder_variable(cfg: Config, folder: str) -> str | None:
    """The environment variable that a config takes a folder from, by ``{{$NAME:default}}``."""
    text = cfg.text if isinstance(cfg, Config) else ''
    for name, default in re.findall(r'\{\{\s*\$(\w+)\s*:\s*(\S*?)\s*\}\}', text or ''):
        value = os.environ.get(name, default).rstrip('/')
        if value and (folder.rstrip('/') == value or folder.startswith(f'{value}/')):
            return name
    return None
