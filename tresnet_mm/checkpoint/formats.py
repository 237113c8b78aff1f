"""The published checkpoint formats: told apart, and renamed to this package's keys.

=============  =====================================  ==========================================
family         backbone                               head
=============  =====================================  ==========================================
``tresnet``    ``body.layer1.0.conv1.0`` (.1: norm)   ``head.fc``
``asl``        as ``tresnet``                         ``head.fc``, or with a bottleneck
                                                      ``head.fc.embedding_generator.0, .FC``
``ml_decoder`` as ``tresnet``                         ``head.decoder``
``timm``       ``body.layer1.0.conv1.conv`` (.bn)     ``head.fc``
``ours``       ``backbone.layer1.0.conv1.conv``       ``head``
=============  =====================================  ==========================================

The stem needs no reordering in any of them: all take the channels of a 4x4 cell as
``(row * 4 + column) * 3 + colour``.
"""

import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

#: Under this name a state dict's metadata says which norm layer its values are for and what its
#: classes are called, which the keys do not tell, and a checkpoint's ``meta`` says what it was
#: converted from.
TAG = 'tresnet_mm'
#: End of the keys of batch norm's counters of batches, which old files lack.
COUNTER = '.num_batches_tracked'
#: Keys under which files hold their state dict. Where a file has plain and averaged (EMA) weights,
#: the plain ones are taken, as the published evaluation code does.
WRAPPERS = ('state_dict', 'model', 'model_state_dict', 'model_ema', 'state_dict_ema',
            'ema_state_dict', 'ema')
#: More than any file has one inside the other; a dict that holds itself has no end of them.
MAX_WRAPPERS = 8
#: Counters that averaging wrappers keep beside the model's own keys.
COUNTERS = ('steps', 'n_averaged')

_OUTER = r'(?P<outer>(?:(?:module|model|_orig_mod)\.)*)'
_STEM = re.compile(_OUTER + r'(?P<inner>body\.|backbone\.|)conv1\.(?P<part>0|conv)\.weight')
_CONV_NORM = re.compile(r'(?P<layer>(?:layer\d+\.\d+\.)?conv\d|layer\d+\.\d+\.downsample\.\d+)\.'
                        r'(?:0\.(?=[01]\.))?(?P<part>0|1|conv|bn)\.(?P<leaf>\w+)')
_FILTER = re.compile(r'.*\.filt')
_PARTS = {'0': 'conv', '1': 'bn', 'conv': 'conv', 'bn': 'bn'}
_HEAD_KEYS = (
    ('fc.embedding_generator.0.', 'embedding.'),
    ('fc.FC.', 'fc.'),
    ('fc.', 'fc.'),
    ('decoder.duplicate_pooling_bias', 'group_fc.bias'),
    ('decoder.duplicate_pooling', 'group_fc.weight'),
    ('decoder.embed_standart.', 'embed.'),
    ('decoder.query_embed.', 'query_embed.'),
    ('decoder.layers.0.multihead_attn.', 'cross_attn.'),
    ('decoder.layers.0.', ''),
)


class Layout(NamedTuple):
    """How a state dict names its keys."""

    form: str
    """'official' (convolution and norm are .0 and .1), 'timm' (.conv and .bn) or 'ours'."""
    outer: str
    """Prefix of all keys, like 'module.'."""
    inner: str
    """Prefix of the backbone's keys after it: 'body.', 'backbone.' or ''."""


def unwrap(checkpoint: Mapping[str, Any]) -> tuple[Mapping[str, Tensor], dict[str, Any]]:
    """Split a checkpoint into its state dict and what stands around it.

    Raises:
        TypeError: If it is no dict of tensors, wrapped or not.
    """
    content: Any = checkpoint
    around: dict[str, Any] = {}
    for _ in range(MAX_WRAPPERS):
        if not isinstance(content, Mapping):
            break
        wrapper = next((k for k in WRAPPERS if isinstance(content.get(k), Mapping)), None)
        if wrapper is None:
            break
        around.update((k, v) for k, v in content.items() if k != wrapper)
        content = content[wrapper]
    if not isinstance(content, Mapping) or not content or not all(
            isinstance(k, str) and isinstance(v, Tensor) for k, v in content.items()):
        raise TypeError(f'expected a state dict, also under one of {WRAPPERS}, got '
                        f'{_describe(content)}')
    return content, around


def find_layout(state_dict: Mapping[str, Tensor]) -> Layout | None:
    """The layout of a TResNet's state dict, None for that of any other model."""
    found = []
    for key, value in state_dict.items():
        match = _STEM.fullmatch(key)
        if not match or value.ndim != 4 or value.shape[1] % 16:
            continue
        outer, inner, part = match['outer'], match['inner'], match['part']
        first = f'{outer}{inner}layer1.0.conv1.{part}.weight'
        if first in state_dict:
            found.append(Layout(_form(state_dict, outer, inner, part), outer, inner))
    return found[0] if len(found) == 1 else None


def _form(state_dict: Mapping[str, Tensor], outer: str, inner: str, part: str) -> str:
    if part == '0':
        return 'official'
    if inner:
        return 'timm' if inner == 'body.' else 'ours'
    bare = re.compile(re.escape(outer) + r'layer\d+\.0\.downsample\.\d+\.conv\.weight')
    return 'timm' if any(bare.fullmatch(key) for key in state_dict) else 'ours'


def metadata_of(state_dict: Mapping[str, Any]) -> Mapping[str, Any]:
    """What PyTorch keeps beside a state dict's items: a dict for each module; empty if none."""
    return getattr(state_dict, '_metadata', None) or {}


def set_metadata(state_dict: OrderedDict, metadata: Mapping[str, Any]) -> None:
    """Give a state dict its metadata."""
    vars(state_dict)['_metadata'] = OrderedDict(metadata)


def tag_of(metadata: Any) -> dict[str, Any]:
    """What this package has noted in a state dict's metadata or a checkpoint's ``meta``.

    Returns:
        ``norm`` (text) and ``classes`` (a tuple of text), each where it is there.
    """
    tag = metadata.get(TAG) if isinstance(metadata, Mapping) else None
    tag = dict(tag) if isinstance(tag, Mapping) else {}
    if not isinstance(tag.get('norm'), str):
        tag.pop('norm', None)
    if not isinstance(tag.get('classes'), (list, tuple)):
        tag.pop('classes', None)
    return tag


def rename(state_dict: Mapping[str, Tensor],
           layout: Layout) -> tuple[dict[str, Tensor], dict[str, Tensor], list[str]]:
    """Sort a published state dict's keys into backbone and head, in this package's names.

    Stored blur filters are left out, once seen to be the fixed one.

    Returns:
        The backbone's and the head's state dict, both without prefix, and the keys that belong to
        neither.

    Raises:
        ValueError: If a stored blur filter is not the [1, 2, 1] one of the network.
    """
    backbone: dict[str, Tensor] = {}
    head: dict[str, Tensor] = {}
    unmapped = []
    for key, value in state_dict.items():
        name = key.removeprefix(layout.outer)
        if _FILTER.fullmatch(name):
            _check_filter(key, value)
        elif name.startswith('head.') and (new := _head_name(name.removeprefix('head.'))):
            head[new] = value
        elif name.startswith(layout.inner) and (
                new := _backbone_name(name.removeprefix(layout.inner))):
            backbone[new] = value
        elif name not in COUNTERS:
            unmapped.append(key)
    return backbone, head, unmapped


def split_ours(state_dict: Mapping[str, Tensor],
               layout: Layout) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Split a state dict of this package into the backbone's, without prefix, and the rest."""
    start = layout.outer + layout.inner
    backbone, rest = {}, {}
    for key, value in state_dict.items():
        if key.startswith(start):
            backbone[key.removeprefix(start)] = value
        elif key not in COUNTERS:
            rest[key.removeprefix(layout.outer)] = value
    return backbone, rest


def _backbone_name(name: str) -> str | None:
    if match := _CONV_NORM.fullmatch(name):
        layer = re.sub(r'downsample\.\d+$', 'downsample.proj', match['layer'])
        return f'{layer}.{_PARTS[match["part"]]}.{match["leaf"]}'
    return name if re.fullmatch(r'layer\d+\.\d+\.se\.fc[12]\.(weight|bias)', name) else None


def _head_name(name: str) -> str | None:
    return next((new + name.removeprefix(old) for old, new in _HEAD_KEYS if name.startswith(old)),
                None)


def _check_filter(key: str, value: Tensor) -> None:
    line = torch.tensor([1.0, 2.0, 1.0])
    expected = line[:, None] * line / 16
    if value.shape[-2:] != (3, 3) or not torch.allclose(
            value.float().cpu(), expected.expand(value.shape)):
        raise ValueError(f'{key} is not the fixed [1, 2, 1] x [1, 2, 1] / 16 filter of TResNet: '
                         'the checkpoint is of another network')


def _describe(value: Any) -> str:
    if not isinstance(value, Mapping):
        return f'a {type(value).__name__}'
    names = [f'{k!r}: {type(v).__name__}' for k, v in list(value.items())[:5]]
    return f'a dict of {len(value)} entries ({", ".join(names)}{", ..." if len(value) > 5 else ""})'
