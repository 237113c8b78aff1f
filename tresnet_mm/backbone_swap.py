"""Replaces the ResNet of any mm config by TResNet."""

import copy
import inspect
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from mmengine.config import Config, ConfigDict

from .config_tree import type_name
from .models import TResNet
from .models.input_format import UNIT_RGB

#: Backbones that are read as a ResNet of their depth is: the same stages, channels and strides.
RESNETS = ('ResNet', 'ResNetV1d', 'ResNeXt', 'Res2Net', 'ResNeSt')
#: ResNet arguments that mean the same in TResNet, with ResNet's defaults.
CARRIED = dict(out_indices=(0, 1, 2, 3), frozen_stages=-1, norm_eval=True, with_cp=False)
TRESNET_DEFAULTS = inspect.signature(TResNet).parameters
#: Further arguments that have their counterpart, or only say which ResNet it is.
REPLACED = {*CARRIED, 'type', '_scope_', 'depth', 'num_stages', 'init_cfg', 'pretrained',
            'strides', 'dilations'}
SYNC_NORMS = ('SyncBN', 'MMSyncBN', 'SyncBatchNorm')
PLAIN_NORMS = ('BN', 'BN2d', 'BatchNorm2d')
#: The weights to start from, by arch; there are none for 's' and 'v2_xl'.
PRETRAINED = {
    'm': 'tresnet://m_in21k_ft_in1k',
    'l': 'tresnet://l_in1k',
    'xl': 'tresnet://xl_in1k',
    'v2_l': 'tresnet://v2_l_in21k_ft_in1k',
}


@dataclass
class Swap:
    """What a swap changes.

    Attributes:
        model: The changes to ``cfg.model``, as a child config would write them.
        dropped: Options of the ResNet that TResNet has no counterpart of, as 'name=value'.
        notes: What else a reader of the config should know.
    """

    model: dict
    dropped: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def swap_backbone(cfg: Config, arch: str = 'm') -> Config:
    """Return a copy of ``cfg`` in which a TResNet takes the place of the ResNet.

    The backbone keeps ``out_indices``, ``frozen_stages``, ``norm_eval``, ``with_cp``, ``strides``
    and ``dilations``. The ``in_channels`` of whatever reads its features follow the arch, the
    input becomes RGB in [0, 1], and a ``load_from`` of the old model's weights goes.

    Args:
        cfg: The config of any mm model that has a ResNet as ``backbone``.
        arch: A key of `tresnet_mm.models.ARCHS`.

    Raises:
        ValueError: If the config has no backbone, or one that is no ResNet, or if the arch is
            unknown or does not fit.

    Examples:
        >>> from mmengine.config import Config
        >>> cfg = Config(dict(model=dict(
        ...     backbone=dict(type='ResNet', depth=50, out_indices=(1, 2, 3)),
        ...     neck=dict(type='FPN', in_channels=[512, 1024, 2048], out_channels=256))))
        >>> swapped = swap_backbone(cfg, 'l')
        >>> swapped.model.backbone.type, swapped.model.neck.in_channels
        ('TResNet', [152, 1216, 2432])
    """
    swapped = copy.deepcopy(cfg)
    swapped.merge_from_dict(dict(
        model=plan_swap(cfg, arch).model, custom_imports=custom_imports(cfg)))
    if swapped.get('load_from'):
        swapped.load_from = None
    return swapped


def plan_swap(cfg: Config, arch: str = 'm') -> Swap:
    """Work out the changes that `swap_backbone` makes, with its errors."""
    model = _plain(cfg.get('model') or {})
    backbones = list(_find(model, 'backbone'))
    if not backbones:
        raise ValueError(f'{_name(cfg)} has no model with a backbone')
    for backbone in backbones:
        kind = type_name(backbone.get('type'))
        if kind not in RESNETS:
            raise ValueError(f'the backbone of {_name(cfg)} is a {kind}, and only these can be '
                             f'swapped: {", ".join(RESNETS)}')
    rewriter = _Rewriter(backbones[0], arch)
    swap = Swap(rewriter.changes(model))
    swap.dropped = sorted({f'{key}={value!r}' for backbone in backbones
                           for key, value in backbone.items() if _is_dropped(key, value)})
    if rewriter.adapter is not None:
        swap.model['neck'] = rewriter.adapter
        swap.notes.append('a 1x1 convolution maps the features to the channels that the heads '
                          'are made for')
    if arch not in PRETRAINED:
        swap.notes.append(f'there are no published weights of arch {arch!r}: it starts from '
                          'scratch')
    if cfg.get('load_from'):
        swap.notes.append(f'load_from was of the old model: {cfg.load_from}')
    return swap


def custom_imports(cfg: Config) -> dict:
    """The config's ``custom_imports`` with this package added."""
    imports = (cfg.get('custom_imports') or {}).get('imports', [])
    imports = [imports] if isinstance(imports, str) else list(imports)
    return dict(imports=[*imports, 'tresnet_mm'], allow_failed_imports=False)


class _Rewriter:
    """Collects the changes to a model config, as the nested dict that mmengine merges.

    Args:
        backbone: Config of the ResNet.
        arch: The arch to take its place.
    """

    def __init__(self, backbone: dict, arch: str) -> None:
        self.arch = arch
        indices = backbone.get('out_indices', CARRIED['out_indices'])
        indices = [indices] if isinstance(indices, int) else list(indices)
        with torch.device('meta'):
            self.new = list(TResNet(arch, out_indices=indices).out_channels)
        self.old = [_resnet_channels(backbone)[i] for i in indices]
        self.adapter: dict | None = None

    def changes(self, model: dict) -> dict:
        """The changes to a whole model; sets ``adapter`` where one is needed instead of a neck."""
        changes = self._dict(model)
        owner = model if 'backbone' in model else None
        if owner and not owner.get('neck') and len(self.old) == 1 and self.new != self.old \
                and 'roi_head' in owner:
            self.adapter = dict(
                type='ChannelMapper', in_channels=self.new, out_channels=self.old[0],
                kernel_size=1, act_cfg=None, num_outs=1)
        return changes

    def _dict(self, node: dict) -> dict:
        changes = {}
        for key, value in node.items():
            if key.startswith('teacher'):
                continue
            if key == 'backbone' and isinstance(value, dict):
                changes[key] = self._backbone(value)
            elif key == 'in_channels' and isinstance(value, (list, tuple)):
                channels = self._channels(list(value))
                if channels != list(value):
                    changes[key] = channels
            elif key == 'data_preprocessor' and 'mean' in value:
                changes[key] = _preprocessor(value)
            elif isinstance(value, dict):
                change = self._neck(value) if key == 'neck' else self._dict(value)
                if change:
                    changes[key] = change
            elif isinstance(value, (list, tuple)):
                items = self._list(value, key)
                if items != list(value):
                    changes[key] = items
        return changes

    def _channels(self, old: list) -> list:
        """The new channels of a neck that reads all feature maps or consecutive ones of them."""
        for i in range(len(self.old) - len(old) + 1):
            if self.old[i:i + len(old)] == old and (len(old) > 1 or len(self.old) == 1):
                return self.new[i:i + len(old)]
        return old

    def _neck(self, neck: dict) -> dict:
        """A neck that reads the last feature map alone has its channels as a number."""
        changes = self._dict(neck)
        if neck.get('in_channels') == self.old[-1] != self.new[-1]:
            changes['in_channels'] = self.new[-1]
        return changes

    def _list(self, items: list | tuple, key: str) -> list:
        """A list as a whole, with the changes applied: configs do not merge within lists."""
        new = []
        for i, item in enumerate(items):
            if isinstance(item, dict):
                first_neck = key == 'neck' and i == 0
                change = self._neck(item) if first_neck else self._dict(item)
                item = _merged(item, change)
            new.append(item)
        return new

    def _backbone(self, old: dict) -> dict:
        new = dict(_delete_=True, type='TResNet', arch=self.arch)
        for key, default in CARRIED.items():
            value = old.get(key, default)
            value = tuple(value) if isinstance(value, list) else value
            if value != TRESNET_DEFAULTS[key].default:
                new[key] = value
        for key in ('strides', 'dilations'):
            default = TRESNET_DEFAULTS[key].default
            value = tuple(old.get(key, default))
            value += default[len(value):]  # a ResNet of three stages names three
            if value != default:
                new[key] = value
        norm = old.get('norm_cfg') or {}
        if type_name(norm.get('type')) in SYNC_NORMS:
            new['norm_cfg'] = dict(type='InPlaceABN', sync=True)
        if self.arch in PRETRAINED and (old.get('init_cfg') or old.get('pretrained')):
            new['init_cfg'] = dict(type='Pretrained', checkpoint=PRETRAINED[self.arch])
        return new


def _is_dropped(key: str, value: Any) -> bool:
    if key == 'norm_cfg':
        return bool(value) and type_name(value.get('type')) not in (*PLAIN_NORMS, *SYNC_NORMS)
    return key not in REPLACED


def _preprocessor(old: dict) -> dict:
    changes = copy.deepcopy(UNIT_RGB)
    if old.get('rgb_to_bgr'):
        changes['rgb_to_bgr'] = False
    return changes


def _resnet_channels(backbone: dict) -> tuple[int, ...]:
    base = backbone.get('base_channels', 64)
    expansion = 1 if backbone.get('depth', 50) in (18, 34) else 4
    return tuple(base * expansion * 2 ** i for i in range(4))


def _find(node: Any, key: str) -> Iterator[dict]:
    """All dicts under ``key`` at any depth."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name == key and isinstance(value, dict):
                yield value
            elif not name.startswith('teacher'):
                yield from _find(value, key)
    elif isinstance(node, (list, tuple)):
        for item in node:
            yield from _find(item, key)


def _merged(base: dict, changes: dict) -> dict:
    """``base`` with nested ``changes`` applied, as mmengine merges a child config."""
    merged = ConfigDict(base)
    merged.merge(changes)
    return merged.to_dict()


def _plain(node: Any) -> Any:
    """The config's values in ordinary dicts and lists."""
    if isinstance(node, dict):
        return {key: _plain(value) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return type(node)(_plain(value) for value in node)
    return node


def _name(cfg: Config) -> str:
    return cfg.filename or 'the config'
