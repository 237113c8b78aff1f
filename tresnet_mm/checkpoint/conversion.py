"""Any checkpoint of a TResNet to this package's names, checked to the last key."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor

from .arch import describe_arch, detect_arch, in_channels, reference_shapes
from .checking import add_counters, find_problems, shorten
from .formats import (
    TAG,
    Layout,
    find_layout,
    metadata_of,
    rename,
    set_metadata,
    split_ours,
    tag_of,
    unwrap,
)
from .heads import Head, detect_head, head_problems
from .norms import convert_norms


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
        set_metadata(state_dict, {name: entry for name, entry in
                                  metadata_of(self.state_dict).items()
                                  if not name or name.split('.')[0] == 'backbone'})
        return self._replace(state_dict=state_dict, head=None, num_classes=None, num_groups=None,
                             classes=None)


def convert(checkpoint: Mapping[str, Any], norm: str | None = 'InPlaceABN',
            arch: str | None = None, source_norm: str | None = None) -> Converted:
    """Convert a checkpoint of any published format; one of this package's own stays as it is.

    Args:
        checkpoint: The content of a file, or the state dict in it; whole model or only backbone.
        norm: Norm layer that the result is for, 'InPlaceABN' or 'BN'; None keeps the file's own.
            A file of this package that does not say is taken to be for 'InPlaceABN'.
        arch: The arch that it has to be; None takes any.
        source_norm: Norm layer that the file's values are for, where its format does not tell:
            'BN' for a file in the published layout whose network had plain batch norm in the
            place of in-place ABN. None takes what the format says.

    Raises:
        TypeError: If it holds no state dict.
        ValueError: If it is no TResNet's, if a key is missing or unknown, a value of the wrong
            shape or type or not finite, or if the arch is not ``arch``; the message names all.

    Examples:
        >>> from tresnet_mm.checkpoint import convert
        >>> from tresnet_mm.models import TResNet
        >>> converted = convert({'state_dict': TResNet('s').state_dict()}, norm='BN')
        >>> converted.arch, converted.family, converted.norm, converted.head
        ('s', 'ours', 'BN', None)
    """
    converted, problems = translate(checkpoint, norm, source_norm)
    backbone = {key.removeprefix('backbone.'): value for key, value in
                converted.state_dict.items() if key.startswith('backbone.')}
    if arch is not None and converted.arch != arch:
        raise ValueError(f"the checkpoint is of arch {describe_arch(backbone)}, not '{arch}'")
    expected = reference_shapes(converted.arch, converted.in_channels)
    problems += find_problems(backbone, expected)
    if converted.family != 'ours':
        head = {key: value for key, value in converted.state_dict.items()
                if key.startswith('head.')}
        problems += find_problems(head, {key: value.shape for key, value in head.items()})
    if problems:
        raise ValueError(f'the checkpoint does not fit TResNet {describe_arch(backbone)}: '
                         + shorten(problems))
    add_counters(converted.state_dict, [f'backbone.{key}' for key in expected])
    return converted


def translate(checkpoint: Mapping[str, Any], norm: str | None = 'InPlaceABN',
              source_norm: str | None = None) -> tuple[Converted, list[str]]:
    """Put a checkpoint into this package's names and norm, without asking whether it is whole.

    Args:
        checkpoint: As of `convert`, like the other arguments.

    Returns:
        The result, and the keys that have no place in it, in words.

    Raises:
        TypeError: If it holds no state dict.
        ValueError: If it is no TResNet's, or lacks its stem or a whole stage.
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
    arch = detect_arch(backbone)

    source = source_norm or _source_norm(state_dict, around, layout)
    target = source if norm is None else norm
    if layout.form != 'ours' or source != target:
        backbone = convert_norms(backbone, source, target)
    family = 'ours' if layout.form == 'ours' else _family(layout, head, around)
    classes = _classes(around, head.num_classes)
    out = OrderedDict({f'backbone.{key}': value for key, value in backbone.items()} | rest)
    set_metadata(out, _metadata(state_dict, layout, target, classes))
    return Converted(out, arch, in_channels(backbone), family, target, *head, classes), problems


def recorded_norm(state_dict: Mapping[str, Tensor], prefix: str = '') -> str | None:
    """The norm layer that a backbone's state dict says it is for, None if it does not say."""
    return tag_of(metadata_of(state_dict).get(prefix.removesuffix('.'))).get('norm')


def _source_norm(state_dict: Mapping[str, Tensor], around: Mapping[str, Any],
                 layout: Layout) -> str:
    if layout.form != 'ours':
        return 'BN' if layout.form == 'timm' else 'InPlaceABN'
    recorded = recorded_norm(state_dict, layout.outer + layout.inner)
    return recorded or tag_of(around.get('meta')).get('norm') or 'InPlaceABN'


def _metadata(state_dict: Mapping[str, Tensor], layout: Layout, norm: str,
              classes: tuple[str, ...] | None) -> OrderedDict:
    """Metadata of the result: the modules' versions where they are kept, norm and class names."""
    metadata = OrderedDict()
    if layout.form == 'ours' and layout.inner == 'backbone.' and not layout.outer:
        for name, entry in metadata_of(state_dict).items():
            metadata[name] = dict(entry)
    for name in ('', 'backbone'):  # '' is read where the state dict is loaded into a bare backbone
        metadata.setdefault(name, {})[TAG] = dict(norm=norm)
    if classes:
        metadata[''][TAG]['classes'] = classes
    return metadata


def recorded_classes(local_metadata: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The class names that a converted state dict's metadata for the whole model holds."""
    return tag_of(local_metadata).get('classes')


def _family(layout: Layout, head: Head, around: Mapping[str, Any]) -> str:
    if layout.form == 'timm':
        return 'timm'
    if head.kind == 'ml_decoder':
        return 'ml_decoder'
    return 'asl' if head.kind == 'bottleneck' or 'idx_to_class' in around else 'tresnet'


def _classes(around: Mapping[str, Any], num_classes: int | None) -> tuple[str, ...] | None:
    """Class names by index; None unless they are exactly the head's classes."""
    names = around.get('idx_to_class')
    if isinstance(names, Mapping) and all(str(index).isdecimal() for index in names):
        by_index = {int(index): str(name) for index, name in names.items()}
        classes = tuple(by_index[i] for i in sorted(by_index))
        complete = sorted(by_index) == list(range(len(by_index)))
    else:
        meta = around.get('meta')
        found = meta.get('dataset_meta') if isinstance(meta, Mapping) else None
        names = found.get('classes') if isinstance(found, Mapping) else None
        classes = tuple(map(str, names)) if isinstance(names, (list, tuple)) else ()
        complete = bool(classes)
    return classes if complete and len(classes) == num_classes else None
