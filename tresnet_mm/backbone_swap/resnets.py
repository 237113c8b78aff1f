"""The ResNets of the mm libraries, and the TResNet that takes the place of one."""

import inspect
from collections.abc import Iterator
from typing import Any

from ..config_tree import type_name
from ..models import TResNet

#: Backbones that are read as a ResNet of their depth is: the same stages, channels and strides.
RESNETS = ('ResNet', 'ResNetV1b', 'ResNetV1c', 'ResNetV1d', 'ResNeXt', 'Res2Net', 'ResNeSt',
           'SEResNet', 'SEResNeXt')
#: ResNet arguments that mean the same in TResNet, with the defaults of mmdet's ResNet.
CARRIED = dict(in_channels=3, out_indices=(0, 1, 2, 3), frozen_stages=-1, norm_eval=True,
               with_cp=False)
#: What other libraries' ResNets have for defaults instead.
DEFAULTS: dict[str, dict[str, Any]] = {
    'mmseg': dict(norm_eval=False),
    'mmpretrain': dict(norm_eval=False, out_indices=(3,)),
    'mmcls': dict(norm_eval=False, out_indices=(3,)),  # mmpretrain under its former name
}
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


def check_resnet(backbone: dict[str, Any], name: str) -> None:
    """Raise ValueError unless this is the config of a ResNet; ``name`` says whose it is."""
    kind = type_name(backbone.get('type'))
    if kind not in RESNETS:
        raise ValueError(f'the backbone of {name} is a {kind}, and only these can be '
                         f'swapped: {", ".join(RESNETS)}')


def resnet_channels(resnet: dict[str, Any]) -> tuple[int, ...]:
    """Channels of the four stages of a ResNet."""
    expansion = resnet.get('expansion') or (1 if resnet.get('depth', 50) in (18, 34) else 4)
    return tuple(resnet.get('base_channels', 64) * expansion * 2 ** i for i in range(4))


def argument(resnet: dict[str, Any], name: str, scope: str | None) -> Any:
    """What one of `CARRIED` is in a ResNet, be it written or the default of its library.

    Args:
        resnet: The config.
        name: A key of `CARRIED`.
        scope: The library whose config this is; the type may name another one.
    """
    value = resnet.get(name, DEFAULTS.get(_library(resnet, scope), {}).get(name, CARRIED[name]))
    if name == 'out_indices' and isinstance(value, int):
        value = (value,)
    return tuple(value) if isinstance(value, list) else value


def tresnet_config(resnet: dict[str, Any], arch: str, scope: str | None, pretrained: bool,
                   kind: str = 'TResNet') -> dict[str, Any]:
    """The config of the TResNet that takes the place of a ResNet.

    Args:
        resnet: Config of the ResNet.
        arch: The arch to take its place.
        scope: As of `argument`.
        pretrained: Whether it starts from published weights, where the arch has any.
        kind: Name of the class.
    """
    new: dict[str, Any] = dict(type=kind, arch=arch)
    for key in CARRIED:
        value = argument(resnet, key, scope)
        if value != TRESNET_DEFAULTS[key].default:
            new[key] = value
    for key in ('strides', 'dilations'):
        default = TRESNET_DEFAULTS[key].default
        value = tuple(resnet.get(key, default))
        value += default[len(value):]  # a ResNet of three stages names three
        if value != default:
            new[key] = value
    norm = resnet.get('norm_cfg') or {}
    if type_name(norm.get('type')) in SYNC_NORMS:
        new['norm_cfg'] = dict(type='InPlaceABN', sync=True)
    if pretrained and arch in PRETRAINED:
        new['init_cfg'] = dict(type='Pretrained', checkpoint=PRETRAINED[arch])
    return new


def dropped_options(resnet: dict[str, Any]) -> Iterator[str]:
    """The options of a ResNet that TResNet has no counterpart of, as 'name=value'."""
    for key, value in resnet.items():
        if key == 'norm_cfg':
            kind = type_name((value or {}).get('type'))
            dropped = bool(value) and kind not in (*PLAIN_NORMS, *SYNC_NORMS)
        else:
            dropped = key not in REPLACED
        if dropped:
            yield f'{key}={value!r}'


def _library(resnet: dict[str, Any], scope: str | None) -> str:
    """The library whose ResNet this is: of its class, else of its name, else of the config."""
    kind = resnet.get('type')
    if not isinstance(kind, str):
        return getattr(kind, '__module__', '').partition('.')[0]
    return kind.rpartition('.')[0] or resnet.get('_scope_') or scope or ''
