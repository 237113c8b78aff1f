"""From a config with a ResNet to one with a TResNet."""

import copy
from dataclasses import dataclass, field
from typing import Any

from mmengine.config import Config

from ..archs import arch_settings
from ..config_tree import parts
from .backbones import Backbone, find_backbones
from .config_changes import changes, plain
from .preprocessors import unit_rgb
from .readers import follow_backbone
from .resnets import PRETRAINED, check_resnet, dropped_options


@dataclass
class Swap:
    """What a swap changes.

    Attributes:
        model: The changes to ``cfg.model``, as a child config would write them.
        data_preprocessor: The same for ``cfg.data_preprocessor``, where mmpretrain's configs have
            the normalisation.
        dropped: Options of the ResNet that TResNet has no counterpart of, as 'name=value'.
        notes: What else a reader of the config should know.
    """

    model: dict[str, Any]
    data_preprocessor: dict[str, Any] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def changes(self, cfg: Config) -> dict[str, Any]:
        """All changes to ``cfg``, as a child config would write them."""
        result = dict(custom_imports=custom_imports(cfg), model=self.model)
        if self.data_preprocessor:
            result['data_preprocessor'] = self.data_preprocessor
        return result


def swap_backbone(cfg: Config, arch: str = 'm') -> Config:
    """Return a copy of ``cfg`` in which a TResNet takes the place of the ResNet.

    The backbone keeps ``in_channels``, ``out_indices``, ``frozen_stages``, ``norm_eval``,
    ``with_cp``, ``strides`` and ``dilations``. The channels of whatever reads its features follow
    the arch, the input becomes RGB in [0, 1], and weights of the old model (``load_from``,
    ``pretrained``) go.

    Args:
        cfg: The config of a model of mmdet, mmseg, mmpretrain, mmrotate or any other mm library
            that has a ResNet as ``backbone``.
        arch: A key of `tresnet_mm.models.ARCHS`.

    Raises:
        ValueError: If the config has no backbone, or one that is no ResNet, if the arch is
            unknown, or if it does not say which of the features a module reads.

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
    swapped.merge_from_dict(plan_swap(cfg, arch).changes(cfg))
    if swapped.get('load_from'):
        swapped.load_from = None
    return swapped


def plan_swap(cfg: Config, arch: str = 'm') -> Swap:
    """Work out the changes that `swap_backbone` makes, with its errors."""
    arch_settings(arch)  # raises where it is unknown
    old, new = plain(cfg.get('model') or {}), plain(cfg.get('model') or {})
    name = cfg.filename or 'the config'
    backbones = list(find_backbones(new, 'model'))
    if not backbones:
        raise ValueError(f'{name} has no model with a backbone')
    for backbone in backbones:
        check_resnet(backbone.resnet, name)
    swap = Swap(model={})
    swap.dropped = sorted({
        option for backbone in backbones for option in dropped_options(backbone.resnet)})
    for backbone in backbones:
        swap.notes += _swap_one(backbone, arch, cfg.get('default_scope'))
    for key, node in parts(new, 'model'):
        if _is_preprocessor(key, node):
            node.update(unit_rgb(node))
    swap.model = changes(old, new)
    shared = plain(cfg.get('data_preprocessor') or {})
    if 'mean' in shared:
        swap.data_preprocessor = changes(shared, shared | unit_rgb(shared))
    if arch not in PRETRAINED:
        swap.notes.append(f'there are no published weights of arch {arch!r}: it starts from '
                          'scratch')
    if cfg.get('load_from'):
        swap.notes.append(f'load_from was of the old model: {cfg.load_from}')
    return swap


def custom_imports(cfg: Config) -> dict[str, Any]:
    """The config's ``custom_imports`` with this package added."""
    imports = (cfg.get('custom_imports') or {}).get('imports', [])
    imports = [imports] if isinstance(imports, str) else list(imports)
    return dict(imports=[*imports, 'tresnet_mm'], allow_failed_imports=False)


def _swap_one(backbone: Backbone, arch: str, scope: str | None) -> list[str]:
    """Change one model in place, and return what is to be told of it."""
    notes = []
    resnet = backbone.resnet
    backbone.put_tresnet(arch, scope)
    weights = backbone.forget_weights()
    if weights:
        notes.append(f'init_cfg was of the old model: {weights}')
    if follow_backbone(backbone, resnet, arch, scope):
        notes.append('a 1x1 convolution maps the features to the channels that the heads are made '
                     'for')
    return notes


def _is_preprocessor(key: str, node: Any) -> bool:
    *owners, name = key.split('.')
    return (name == 'data_preprocessor' and 'mean' in node
            and not any(owner.startswith('teacher') for owner in owners))
