"""Channels and levels along the way from the backbone through the neck to the heads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..config_tree import join, parts, type_name
from .model_facts import backbone_channels, backbones, neck_takes
from .problem import Problem
from .subject import Subject

#: Heads that read the maps of a neck one by one, each of ``in_channels``.
_PER_LEVEL = ('bbox_head', 'rpn_head', 'mask_head', 'segm_head')


def check_neck_channels(subject: Subject) -> Iterator[Problem]:
    """A neck's `in_channels` are those of the backbone's `out_indices`."""
    for key, backbone, owner in backbones(subject.model):
        neck = owner.get('neck')
        channels = backbone_channels(backbone) if neck else None
        if channels is None:
            continue
        first, where = (neck[0], 'neck.0') if isinstance(neck, (list, tuple)) else (neck, 'neck')
        where = join(key.rpartition('.')[0], where, 'in_channels')
        given = first.get('in_channels')
        right: Any = channels if isinstance(given, (list, tuple)) else channels[-1]
        given = list(given) if isinstance(given, (list, tuple)) else given
        if given is None or given == right or neck_takes(neck, backbone):
            continue
        yield Problem(f'the backbone ({_described(backbone)}) gives {channels}', where, given,
                      str(right))


def check_head_channels(subject: Subject) -> Iterator[Problem]:
    """A head's `in_channels` are those of the neck, or of the backbone where there is none."""
    for key, backbone, owner in backbones(subject.model):
        prefix, neck = key.rpartition('.')[0], owner.get('neck')
        last = neck[-1] if isinstance(neck, (list, tuple)) and neck else neck
        if last and isinstance(last.get('out_channels'), int):
            yield from _neck_readers(prefix, owner, last['out_channels'])
        elif not neck and (channels := backbone_channels(backbone)):
            yield from _backbone_readers(prefix, owner, backbone, channels)
    yield from _image_heads(subject)


def check_levels(subject: Subject) -> Iterator[Problem]:
    """The neck gives as many feature maps as a single-stage head has strides and ranges."""
    for key, _, owner in backbones(subject.model):
        neck, head = owner.get('neck'), owner.get('bbox_head')
        if not isinstance(neck, Mapping) or not isinstance(head, Mapping):
            continue
        levels = neck.get('num_outs')
        prefix = key.rpartition('.')[0]
        anchors = head.get('anchor_generator') or {}
        for name, values in (('strides', head.get('strides')),
                             ('regress_ranges', head.get('regress_ranges')),
                             ('anchor_generator.strides', anchors.get('strides'))):
            if isinstance(levels, int) and isinstance(values, (list, tuple)) and \
                    len(values) != levels:
                yield Problem(f'{len(values)} levels, and {join(prefix, "neck.num_outs")} is '
                              f'{levels}', join(prefix, 'bbox_head', name), values,
                              f'{levels} values, or num_outs={len(values)}')


def _neck_readers(prefix: str, owner: Mapping[str, Any], channels: int) -> Iterator[Problem]:
    """What reads a neck's maps: single-stage and proposal heads, and the RoI extractors."""
    for name in _PER_LEVEL:
        head = owner.get(name)
        if isinstance(head, Mapping) and isinstance(head.get('in_channels'), int) and \
                head['in_channels'] != channels:
            yield Problem(f'the neck gives {channels} channels', join(prefix, name, 'in_channels'),
                          head['in_channels'], str(channels))
    roi_head = owner.get('roi_head')
    if not isinstance(roi_head, Mapping) or roi_head.get('shared_head'):
        return
    for kind in ('bbox', 'mask'):
        extractor = roi_head.get(f'{kind}_roi_extractor')
        where = join(prefix, 'roi_head', f'{kind}_roi_extractor')
        given = extractor.get('out_channels') if isinstance(extractor, Mapping) else None
        if isinstance(given, int) and given != channels:
            yield Problem(f'the neck gives {channels} channels', join(where, 'out_channels'),
                          given, str(channels))
        for step, head in _numbered(roi_head.get(f'{kind}_head')):
            if isinstance(head.get('in_channels'), int) and head['in_channels'] != channels:
                yield Problem(f'the neck gives {channels} channels',
                              join(prefix, 'roi_head', f'{kind}_head', step, 'in_channels'),
                              head['in_channels'], str(channels))


def _backbone_readers(prefix: str, owner: Mapping[str, Any], backbone: Mapping[str, Any],
                      channels: Sequence[int]) -> Iterator[Problem]:
    """Heads that read the backbone itself: all of its maps as a list, or its only one."""
    for name, head in owner.items():
        if not name.endswith('head') or not isinstance(head, Mapping):
            continue
        given = head.get('in_channels')
        right: Any = None
        if isinstance(given, (list, tuple)) and len(given) > 1:
            given, right = list(given), list(channels)
        elif isinstance(given, int) and len(channels) == 1 and name != 'head':
            right = channels[0]
        if right is not None and given != right:
            yield Problem(f'the backbone ({_described(backbone)}) gives {list(channels)}',
                          join(prefix, name, 'in_channels'), given, str(right))


def _image_heads(subject: Subject) -> Iterator[Problem]:
    """Image-level heads read the last map of the backbone, or of the neck.

    A classifier's reads the neck where there is one, a joint model's by its ``features``.
    """
    model = subject.model
    found = [('model', model, 'head')] if isinstance(model.get('head'), Mapping) else []
    for key, part in parts(model, 'model'):
        if isinstance(part.get('image_head'), Mapping):
            found.append((key, part, 'image_head'))
        found += [(join(key, 'image_heads'), part, name) for name in part.get('image_heads') or ()]
    owner = next(iter(backbones(model)), None)
    if owner is None or not found:
        return
    _, backbone, holder = owner
    for key, part, name in found:
        head = part['image_heads'][name] if key.endswith('image_heads') else part[name]
        given, neck = head.get('in_channels'), holder.get('neck')
        if not isinstance(given, int) or (name == 'head' and neck):
            continue
        if head.get('features') == 'neck':
            last = neck[-1] if isinstance(neck, (list, tuple)) and neck else neck
            channels, read = [(last or {}).get('out_channels')], 'neck'
        else:
            channels = backbone_channels(backbone) or [None]
            read = f'backbone ({_described(backbone)})'
        if isinstance(channels[-1], int) and given != channels[-1]:
            yield Problem(f'the last feature map of the {read} has {channels[-1]} channels',
                          join(key, name, 'in_channels'), given, str(channels[-1]))


def _numbered(node: Any) -> Iterator[tuple[Any, Mapping[str, Any]]]:
    if isinstance(node, Mapping):
        yield '', node
    elif isinstance(node, (list, tuple)):
        yield from enumerate(node)


def _described(backbone: Mapping[str, Any]) -> str:
    """A backbone in a few words: which it is, and which maps it gives."""
    words = [type_name(backbone.get('type'))]
    for name in ('arch', 'depth', 'out_indices'):
        if isinstance(backbone.get(name), (str, int, list, tuple)):
            words.append(f'{name}={backbone[name]!r}')
    return ', '.join(words)
