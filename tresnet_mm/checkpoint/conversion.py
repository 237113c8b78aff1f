"""Any checkpoint of a TResNet to this package's names, checked to the last key."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .arch import describe_arch, detect_arch, in_channels, reference_shapes
from .formats import Layout, find_layout, rename, split_ours, unwrap
from .heads import Head, detect_head, head_problems
from .norms import convert_norms

#: Under this name a state dict's metadata says which norm layer its values are for and what its
#: classes are called, which the keys do not tell, and a checkpoint's ``meta`` says what it was
#: converted from.
TAG = 'tresnet_mm'
COUNTER = '.num_batches_tracked'


class Converted(NamedTuple):
    """A checkpoint in this package's names, and what was found in it."""

    state_dict: dict[str, Tensor]
    """``backbone.*`` and, where the file has a head, ``head.*``."""
    arch: str | dict[str, Any]
    """Key of ``ARCHS``, or the fields of a custom arch."""
    in_channels: int
    family: str
    """'tresnet', 'asl', 'ml_decoder', 'timm' or 'ours'."""
    norm: str
    """Norm layer that the values are for: 'InPlaceABN' or 'BN'."""
    head: str | None
    """'linear', 'bottleneck', 'ml_decoder'; None where there is no such head."""
    num_classes: int | None
    num_groups: int | None
    """Group queries of an ML-Decoder head."""
    classes: tuple[str, ...] | None
    """Class names in order, where the file holds them (ASL's ``idx_to_class``)."""

    def backbone_only(self) -> 'Converted':
        """The same without its head (and, of a trained detector, neck and heads)."""
        state_dict = OrderedDict((key, value) for key, value in self.state_dict.items()
                                 if key.startswith('backbone.'))
        state_dict._metadata = OrderedDict(
            (name, entry) for name, entry in self.state_dict._metadata.items()
            if not name or name.split('.')[0] == 'backbone')
        return self._replace(state_dict=state_dict, head=None, num_classes=None, num_groups=None,
                             classes=None)


def convert(checkpoint: Mapping[str, Any], norm: str | None = 'InPlaceABN',
            arch: str | None = None) -> Converted:
    """Convert a checkpoint of any published format; one of this package's own stays as it is.

    Args:
        checkpoint: The content of a file, or the state dict in it; whole model or only backbone.
        norm: Norm layer that the result is for, 'InPlaceABN' or 'BN'; None keeps the file's own.
            A file of this package that does not say is taken to be for 'InPlaceABN'.
        arch: The arch that it has to be; None takes any.

    Raises:
        TypeError: If it holds no state dict.
        ValueError: If it is no TResNet's, if a key is missing or unknown or of the wrong shape, or
            if the arch is not ``arch``; the message names all of them.
    """
    state_dict, around = unwrap(checkpoint)
    layout = find_layout(state_dict)
    if layout is None:
        raise ValueError('not a TResNet checkpoint of a known format; its keys start with '
                         f'{", ".join(list(state_dict)[:4])}')
    if layout.form == 'ours':
        backbone, rest = split_ours(state_dict, layout)
        problems = []
        head = detect_head({k.removeprefix('head.'): v for k, v in rest.items()
                            if k.startswith('head.')})
    else:
        backbone, head_dict, unmapped = rename(state_dict, layout)
        head = detect_head(head_dict)
        problems = [f'unmapped {key}' for key in unmapped] + head_problems(head_dict, head)
        rest = {f'head.{key}': value for key, value in head_dict.items()}
    found = _check(backbone, problems, arch)

    source = _source_norm(state_dict, around, layout)
    target = source if norm is None else norm
    if layout.form != 'ours' or source != target:
        backbone = convert_norms(backbone, source, target)
    family = 'ours' if layout.form == 'ours' else _family(layout, head, around)
    classes = _classes(around, head.num_classes)
    out = OrderedDict({f'backbone.{key}': value for key, value in backbone.items()} | rest)
    out._metadata = _metadata(state_dict, layout, target, classes)
    return Converted(out, found, in_channels(backbone), family, target, *_head_fields(head),
                     classes)


def _check(backbone: dict[str, Tensor], problems: list[str],
           wanted: str | None) -> str | dict[str, Any]:
    """Compare with the network that the shapes belong to; adds batch counters where they lack."""
    arch = detect_arch(backbone)
    if wanted is not None and arch != wanted:
        raise ValueError(f"the checkpoint is of arch {describe_arch(backbone)}, not '{wanted}'")
    expected = reference_shapes(arch, in_channels(backbone))
    problems = problems + find_problems(backbone, expected)
    if problems:
        raise ValueError(f'the checkpoint does not fit TResNet {describe_arch(backbone)}: '
                         + shorten(problems))
    add_counters(backbone, expected)
    return arch


def find_problems(state_dict: Mapping[str, Tensor],
                  expected: Mapping[str, torch.Size]) -> list[str]:
    """What keeps a state dict from being loaded whole, in words; batch counters may lack."""
    return ([f'missing {key}' for key in expected
             if key not in state_dict and not key.endswith(COUNTER)]
            + [f'unmapped {key}' for key in state_dict if key not in expected]
            + [f'{key} is {tuple(state_dict[key].shape)} instead of {tuple(shape)}'
               for key, shape in expected.items()
               if key in state_dict and state_dict[key].shape != shape])


def add_counters(state_dict: dict[str, Tensor], expected: Iterable[str]) -> None:
    """Add the batch counters that old files lack."""
    for key in expected:
        if key.endswith(COUNTER):
            state_dict.setdefault(key, torch.tensor(0))


def shorten(problems: list[str], limit: int = 10) -> str:
    """Join the first ``limit`` problems and count the others."""
    more = f'; and {len(problems) - limit} more' if len(problems) > limit else ''
    return '; '.join(problems[:limit]) + more


def recorded_norm(state_dict: Mapping[str, Tensor], prefix: str = '') -> str | None:
    """The norm layer that a backbone's state dict says it is for, None if it does not say."""
    metadata = getattr(state_dict, '_metadata', None) or {}
    return metadata.get(prefix.removesuffix('.'), {}).get(TAG, {}).get('norm')


def _source_norm(state_dict: Mapping[str, Tensor], around: Mapping[str, Any],
                 layout: Layout) -> str:
    if layout.form != 'ours':
        return 'BN' if layout.form == 'timm' else 'InPlaceABN'
    recorded = recorded_norm(state_dict, layout.outer + layout.inner)
    meta = around.get('meta')
    if recorded is None and isinstance(meta, Mapping):
        recorded = meta.get(TAG, {}).get('norm')
    return recorded or 'InPlaceABN'


def _metadata(state_dict: Mapping[str, Tensor], layout: Layout, norm: str,
              classes: tuple[str, ...] | None) -> OrderedDict:
    """Metadata of the result: the modules' versions where they are kept, norm and class names."""
    metadata = OrderedDict()
    if layout.form == 'ours' and layout.inner == 'backbone.' and not layout.outer:
        for name, entry in (getattr(state_dict, '_metadata', None) or {}).items():
            metadata[name] = dict(entry)
    for name in ('', 'backbone'):  # '' is read where the state dict is loaded into a bare backbone
        metadata.setdefault(name, {})[TAG] = dict(norm=norm)
    if classes:
        metadata[''][TAG]['classes'] = classes
    return metadata


def recorded_classes(local_metadata: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The class names that a converted state dict's metadata for the whole model holds."""
    return local_metadata.get(TAG, {}).get('classes')


def _family(layout: Layout, head: Head, around: Mapping[str, Any]) -> str:
    if layout.form == 'timm':
        return 'timm'
    if head.kind == 'ml_decoder':
        return 'ml_decoder'
    return 'asl' if head.kind == 'bottleneck' or 'idx_to_class' in around else 'tresnet'


def _head_fields(head: Head) -> tuple[str | None, int | None, int | None]:
    return head.kind, head.num_classes, head.num_groups


def _classes(around: Mapping[str, Any], num_classes: int | None) -> tuple[str, ...] | None:
    """Class names by index; None unless they are exactly the head's classes."""
    names = around.get('idx_to_class')
    if isinstance(names, Mapping) and all(str(index).isdigit() for index in names):
        by_index = {int(index): str(name) for index, name in names.items()}
        classes = tuple(by_index[i] for i in sorted(by_index))
        complete = sorted(by_index) == list(range(len(by_index)))
    else:
        meta = around.get('meta')
        found = meta.get('dataset_meta') if isinstance(meta, Mapping) else None
        classes = tuple((found or {}).get('classes') or ())
        complete = bool(classes)
    return classes if complete and len(classes) == num_classes else None
