"""Published checkpoints in mmengine's own loading: ``init_cfg``, ``load_from``, ``resume``.

Two places do it all. mmengine's `CheckpointLoader` reads through `load_from_tresnet_mm`, which
converts what it reads where that is a published TResNet, so that any model with ``backbone.*`` keys
gets them. The backbone (and the multi-label model) then check their share while it is loaded,
because mmengine loads with ``strict=False`` and would only warn. What they have to check against,
their shapes and their norm layer, they hand in: this package knows no model.
"""

import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from mmengine.logging import print_log
from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor, nn

from .arch import describe_arch
from .checking import CheckpointMismatch, add_counters, find_problems, shorten
from .conversion import Converted, convert, recorded_norm, translate
from .formats import TAG, find_layout, set_metadata, split_ours, tag_of, unwrap
from .heads import detect_head
from .norms import convert_norms
from .sources import read_source
from .stored_tensors import MapLocation

#: What `Calibration` adds to a head's own keys, in a checkpoint that was calibrated.
CALIBRATION = 'head.calibration.'
_FITTED = re.compile(r'(?:head|(?:^|\.)image_heads\.\w+)\.calibration\.')


def is_fitted(key: str) -> bool:
    """Whether a key of a state dict is of what was fitted to the scores of an image-level head."""
    return _FITTED.search(key) is not None


def load_from_tresnet_mm(filename: str, map_location: MapLocation = None) -> dict[str, Any]:
    """Read a checkpoint for mmengine's `CheckpointLoader`, converted where it is published."""
    checkpoint = adapt_checkpoint(read_source(filename, map_location), filename)
    meta = checkpoint.get('meta')
    if isinstance(meta, dict):
        # mmcv 1's config, a text in Python: a runner that resumes would run it, for the number of
        # GPUs in it. (Under ``cfg`` mmengine has such a text too, which the runner only keeps.)
        meta.pop('config', None)
    return checkpoint


def adapt_checkpoint(checkpoint: dict[str, Any], source: str = '') -> dict[str, Any]:
    """Convert a file's content if it is a published TResNet; return any other as it is.

    The result is for in-place ABN. A backbone with batch norm converts it when it loads it, which
    the state dict's metadata tells it; a model that renames keys while loading loses those, and
    then the default norm layer is still served exactly.

    Raises:
        ValueError: If it is a published TResNet that is incomplete; names ``source``.
    """
    try:
        state_dict, _ = unwrap(checkpoint)
    except TypeError:
        return checkpoint
    layout = find_layout(state_dict)
    if layout is None or layout.form == 'ours':
        return checkpoint
    try:
        converted = convert(checkpoint, norm='InPlaceABN')
    except ValueError as error:
        raise ValueError(f'{source}: {error}') from error
    return dict(meta=meta_of(converted), state_dict=converted.state_dict)


def meta_of(converted: Converted) -> dict[str, Any]:
    """What an mmengine checkpoint keeps of a conversion under 'meta'."""
    tag = converted._asdict()
    del tag['state_dict'], tag['classes']
    meta: dict[str, Any] = {TAG: tag}
    if converted.classes:
        meta['dataset_meta'] = dict(classes=converted.classes)
    return meta


def load_pretrained(backbone: nn.Module, checkpoint: str, prefix: str | None = None,
                    map_location: MapLocation = 'cpu') -> None:
    """Load a backbone from any checkpoint that holds one, whole or not at all.

    Args:
        backbone: A TResNet.
        checkpoint: Path, URL or ``tresnet://`` name; published, or of any model trained with this
            backbone.
        prefix: Where the backbone is in it, like 'backbone.'; None finds it.
        map_location: Device to read the file to.

    Raises:
        CheckpointMismatch: If it does not fit, naming it, the arch it has and the model's.
        FileNotFoundError: If there is no such file.
    """
    content = CheckpointLoader.load_checkpoint(checkpoint, map_location)
    try:
        state_dict, _ = unwrap(content)
        backbone.load_state_dict(_backbone_of(state_dict, prefix))
    except (TypeError, ValueError) as error:
        raise CheckpointMismatch(
            f'cannot load {checkpoint} into {type(backbone).__name__}: {error}') from error


def _backbone_of(state_dict: Mapping[str, Tensor], prefix: str | None) -> dict[str, Tensor]:
    """The backbone's part, without prefix, with the norm layer it is for in its metadata."""
    if prefix is None:
        layout = find_layout(state_dict)
        if layout is None:
            raise ValueError('it holds no TResNet, or several (then give the prefix of one); its '
                             f'keys start with {", ".join(list(state_dict)[:4])}')
        prefix = layout.outer + layout.inner
    elif not prefix.endswith('.'):
        prefix += '.'
    own = OrderedDict((key.removeprefix(prefix), value) for key, value in state_dict.items()
                      if key.startswith(prefix))
    if not own:
        raise ValueError(f'it has no keys under {prefix!r}; they start with '
                         f'{", ".join(list(state_dict)[:4])}')
    if norm := recorded_norm(state_dict, prefix):
        set_metadata(own, {'': {TAG: dict(norm=norm)}})
    return own


def adapt_backbone_state_dict(backbone: nn.Module, norm: str, state_dict: dict[str, Tensor],
                              prefix: str, local_metadata: Mapping[str, Any],
                              unexpected_keys: list[str]) -> None:
    """Make the backbone's share of a state dict fit it exactly, in place.

    To be called at the start of the backbone's ``_load_from_state_dict``, with its arguments. Keys
    of a published format are converted, values are rewritten for the backbone's norm layer.

    Args:
        backbone: The backbone, whose own state dict gives names and shapes.
        norm: Norm layer that it has, 'InPlaceABN' or 'BN'.
        state_dict: Of the model around it, changed in place.
        prefix: Of the backbone's keys in it.
        local_metadata: The backbone's metadata.
        unexpected_keys: What the model around it has noted so far.

    Raises:
        CheckpointMismatch: If a key is missing, unknown or of another shape; names both archs.
    """
    own = {key.removeprefix(prefix): state_dict.pop(key)
           for key in list(state_dict) if key.startswith(prefix)}
    source = tag_of(local_metadata).get('norm')
    layout = find_layout(own)
    problems: list[str] = []
    if layout is not None and layout.form != 'ours':
        converted, problems = translate(own, norm=None)
        own, source = dict(converted.state_dict), converted.norm
        layout = find_layout(own)
    if layout is not None and layout.outer + layout.inner:
        own, rest = split_ours(own, layout)
        if rest:
            _log_left_out(rest)
    wanted = backbone.state_dict()
    if problems := problems + _problems(own, wanted):
        raise CheckpointMismatch(_mismatch(own, backbone, problems))
    add_counters(own, wanted)
    if source is not None and source != norm:
        own = convert_norms(own, source, norm)
    state_dict.update((prefix + key, value) for key, value in own.items())
    if prefix and source is not None:
        _drop_foreign_head(unexpected_keys)


def tag_state_dict(norm: str, state_dict: Mapping[str, Tensor], prefix: str) -> None:
    """Record in a state dict's metadata which norm layer the backbone's values are for.

    To be called in the backbone's ``_save_to_state_dict``, with its arguments.
    """
    metadata = getattr(state_dict, '_metadata', None)
    if metadata is not None:
        metadata.setdefault(prefix.removesuffix('.'), {})[TAG] = dict(norm=norm)


def adapt_model_state_dict(head: nn.Module, norm: str, state_dict: dict[str, Tensor],
                           prefix: str) -> None:
    """Make a state dict fit a model with a ``backbone`` and an image-level ``head``, in place.

    To be called at the start of the model's ``_load_from_state_dict``, with its arguments. A state
    dict that holds a head must fit the model's exactly; one without leaves it as it is.

    Raises:
        ValueError: If the heads differ; names both, and how to load the backbone alone.
    """
    own = {key.removeprefix(prefix): value for key, value in state_dict.items()
           if key.startswith(prefix)}
    layout = find_layout(own)
    if layout is not None and layout.form != 'ours':
        converted = convert(own, norm=norm)
        for key in own:
            del state_dict[prefix + key]
        own = converted.state_dict
        state_dict.update((prefix + key, value) for key, value in own.items())
    given = {key.removeprefix('head.'): value for key, value in own.items()
             if key.startswith('head.') and not key.startswith(CALIBRATION)}
    wanted = {key: value for key, value in head.state_dict().items()
              if not f'head.{key}'.startswith(CALIBRATION)}  # which it checks by itself
    if not given or not (problems := _problems(given, wanted)):
        return
    raise CheckpointMismatch(
        f'the checkpoint has {detect_head(given)}, the model has {detect_head(wanted)}: '
        f"{shorten(problems)}. To start from its backbone alone, set the backbone's "
        "init_cfg=dict(type='Pretrained', checkpoint=...) in place of load_from")


def _problems(own: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> list[str]:
    """What keeps values from being loaded whole into a module with the state dict ``wanted``."""
    empty = [f'{key} has no values (a meta tensor)' for key, value in own.items()
             if value.is_meta and key in wanted and not wanted[key].is_meta]
    return find_problems(own, {key: value.shape for key, value in wanted.items()}) + empty


def _mismatch(own: Mapping[str, Tensor], backbone: nn.Module, problems: list[str]) -> str:
    if not own:
        return (f"the checkpoint holds nothing for the model's {type(backbone).__name__} of arch "
                f'{describe_arch(backbone.state_dict())}')
    given, wanted = describe_arch(own), describe_arch(backbone.state_dict())
    if given != wanted:
        return (f'the checkpoint is of TResNet arch {given}, the model of arch {wanted}: '
                f'{shorten(problems, 3)}')
    return f'the checkpoint does not fit TResNet {wanted}: {shorten(problems)}'


def _log_left_out(rest: Mapping[str, Tensor]) -> None:
    names = sorted({key.split('.')[0] for key in rest})
    print_log(f'TResNet: loaded the backbone; left out {len(rest)} parameters of '
              f'{", ".join(names)}', logger='current')


def _drop_foreign_head(unexpected_keys: list[str]) -> None:
    """Say in one line that a published head has no place in this model.

    The keys were noted as unexpected by the model around the backbone, which comes first.
    """
    dropped = [key for key in unexpected_keys if key.startswith('head.')]
    if dropped:
        unexpected_keys[:] = [key for key in unexpected_keys if not key.startswith('head.')]
        print_log(f"TResNet: loaded the backbone; the model has no place for the checkpoint's "
                  f'head ({len(dropped)} parameters)', logger='current')
