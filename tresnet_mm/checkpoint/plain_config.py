"""Configs from a stranger's file: held to what can only build layers and transforms.

mmengine builds whatever a config's ``type`` names. A name that no registry knows is imported and
called (``os.system``), some functions of the mm packages evaluate a name or another text as Python
(``nms``'s type, the tracking classes), some arguments are files that are loaded, configs among
them, which are programs. So a config is looked at before anything is built from it: every ``type``
is a registered name of a module below, texts have no character that a call or a path needs, and no
argument names a file.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.registry import MODELS, TASK_UTILS, TRANSFORMS, Registry

MODEL_REGISTRIES = (MODELS, TASK_UTILS)
PIPELINE_REGISTRIES = (TRANSFORMS,)
#: What mmcv and mmdet look up by name in modules of their own, or only compare.
_OTHER_TYPES = frozenset(('nms', 'soft_nms', 'RoIAlign', 'RoIPool', 'SimpleRoIAlign',
                          'DeformRoIPoolPack', 'ModulatedDeformRoIPoolPack', 'conv', 'dilation',
                          'offset'))
#: Of these packages, only the modules whose classes do nothing but compute on their arguments.
_PACKAGES = ('torch', 'mmcv', 'mmengine', 'mmdet', 'tresnet_mm')
_MODULES = (
    'torch.nn', 'mmcv.cnn', 'mmcv.ops', 'mmcv.transforms', 'mmengine.model',
    'mmengine.utils.dl_utils.parrots_wrapper',  # SyncBN
    'tresnet_mm.models', 'tresnet_mm.datasets', 'mmdet.datasets.transforms',
    *(f'mmdet.models.{room}' for room in (
        'backbones', 'data_preprocessors', 'dense_heads', 'detectors', 'layers', 'losses', 'necks',
        'roi_heads', 'seg_heads', 'task_modules.assigners', 'task_modules.coders',
        'task_modules.prior_generators', 'task_modules.samplers')))
_NOT_MODULES = ('mmdet.datasets.transforms.text_transformers',
                *(f'mmdet.models.detectors.{name}' for name in (
                    'd2_wrapper', 'glip', 'grounding_dino', 'kd_one_stage', 'lad')))
#: Arguments that name weights, which the file has itself, or how files are read.
DROPPED_KEYS = frozenset(('init_cfg', 'pretrained', 'backend_args', 'file_client_args'))
#: Arguments that are read as files, or fetched from the web by name.
_FILE_KEYS = frozenset(('checkpoint', 'teacher_config', 'teacher_ckpt', 'lang_model_name',
                        'tokenizer_name', 'custom_imports'))
_NAME = re.compile(r'(?:[A-Za-z]\w*\.)?[A-Za-z_]\w*', re.ASCII)
_KEY = re.compile(r'[\w -]{1,200}', re.ASCII)
_TEXT = re.compile(r'[\w .,:+-]{0,200}', re.ASCII)
_FILE = re.compile(r'.*\.(py|ya?ml|json|pkl|pickle|pth?|bin|ckpt|safetensors|onnx|np[yz])', re.I)
#: More than any model has; and what its sizes stay below, by far.
_MAX_PARTS, _MAX_LEVELS, _MAX_NUMBER = 100_000, 40, 1 << 31


def check_config(node: Any, where: str, registries: tuple[Registry, ...]) -> None:
    """See that a part of a config is plain data that builds nothing but registered classes.

    Args:
        node: Dicts, lists, tuples and plain values.
        where: What messages call it.
        registries: mmengine's root registries that its ``type``s may be in; those of the scopes
            below them count too.

    Raises:
        ValueError: If it is not; the message names the key and the value.
    """
    for count, (key, value) in enumerate(_walk(node, where)):
        if count >= _MAX_PARTS:
            raise ValueError(f'{where} has more than {_MAX_PARTS} parts')
        name = key.rpartition('.')[2]
        if name == 'type':
            _check_type(value, key, registries)
        elif name == '_scope_':
            if not isinstance(value, str) or value not in _scopes(registries[0]):
                raise ValueError(f'{key} is {_short(value)}, which is no scope of a registry here')
        elif name in DROPPED_KEYS | _FILE_KEYS or name.startswith('_'):
            raise ValueError(f'{key} has no place in a published file')
        elif isinstance(value, str):
            _check_text(value, key)
        elif isinstance(value, (int, float)):
            if not abs(value) <= _MAX_NUMBER:  # nor NaN
                raise ValueError(f'{key} is {_short(value)}, which is beyond any real one')
        elif value is not None and not isinstance(value, (Mapping, list, tuple)):
            raise ValueError(f'{key} is a {type(value).__name__}, not a plain value')


def registered(name: str, registries: tuple[Registry, ...]) -> list[Any]:
    """What a ``type`` stands for, in any scope where it names none; nothing is imported for it."""
    scope, _, bare = name.rpartition('.')
    found = []
    for root in registries:
        for registry in (root, *root.children.values()):
            if scope in ('', registry.scope):
                registry.import_from_location()  # the scope's own modules, whatever the name
                if bare in registry.module_dict:
                    found.append(registry.module_dict[bare])
    return found


def _walk(node: Any, key: str, level: int = 0) -> Iterator[tuple[str, Any]]:
    """All values with their dotted keys, the containers before what is in them."""
    if level > _MAX_LEVELS:
        raise ValueError(f'{key[:200]}... has more than {_MAX_LEVELS} levels')
    items: Any = ()
    if isinstance(node, Mapping):
        items = node.items()
    elif isinstance(node, (list, tuple)):
        items = enumerate(node)
    for name, value in items:
        if isinstance(node, Mapping) and (not isinstance(name, str) or not _KEY.fullmatch(name)):
            raise ValueError(f'{key} has the key {_short(name)}, which is no plain name')
        yield f'{key}.{name}', value
        yield from _walk(value, f'{key}.{name}', level + 1)


def _check_type(value: Any, key: str, registries: tuple[Registry, ...]) -> None:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError(f'{key} is {_short(value)}, where the name of a registered class was '
                         'expected')
    if value in _OTHER_TYPES and MODELS in registries:
        return
    found = registered(value, registries)
    if not found:
        raise ValueError(f'{key} is {value!r}, which is not registered as a part of models or '
                         'pipelines: a newer version of tresnet_mm or mmdet may have it, or a '
                         'package that has to be imported first')
    for item in found:
        module = getattr(item, '__module__', None) or ''
        if module.partition('.')[0] in _PACKAGES and (
                _below(module, _NOT_MODULES) or not _below(module, _MODULES)):
            raise ValueError(f'{key} is {value!r}, a class of {module}, which may read files or '
                             'evaluate text: a published file may not name it')


def _check_text(value: str, key: str) -> None:
    if not _TEXT.fullmatch(value) or _FILE.fullmatch(value):
        raise ValueError(f'{key} is {_short(value)}: texts in a published file are names and modes '
                         'of letters, digits and " .,:+-_", at most 200, and no files')


def _below(module: str, rooms: tuple[str, ...]) -> bool:
    return any(module == room or module.startswith(f'{room}.') for room in rooms)


def _scopes(registry: Registry) -> set[str]:
    return {registry.scope, *registry.children}


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # a number of more digits than Python writes
        return 'a number'
    return text if len(text) <= 80 else f'{text[:80]}...'
