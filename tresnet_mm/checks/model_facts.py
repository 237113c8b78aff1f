"""What is known of a config's model without running it: its heads, its channels, its weights."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.config import ConfigDict
from mmengine.registry import MODELS, DefaultScope
from torch import nn

from ..archs import stage_channels
from ..config_tree import join, parts, type_name

#: Keys under which a model keeps heads that know the classes of the data.
HEADS = ('bbox_head', 'mask_head', 'head', 'image_head', 'point_head', 'segm_head', 'cls_head',
         'panoptic_head', 'panoptic_fusion_head', 'mask_iou_head', 'query_head')


@dataclass
class HeadFacts:
    """A head that tells classes apart.

    Attributes:
        key: Dotted key of its number of classes.
        num_classes: That number.
        image_level: Whether it labels whole images.
    """

    key: str
    num_classes: int
    image_level: bool = False


def model_class(cfg: Mapping[str, Any], scope: str | None = None) -> type | None:
    """The class that a part of a model is built from; None where no registry knows it."""
    kind = cfg.get('type')
    if isinstance(kind, str):
        with MODELS.switch_scope_and_registry(scope or _current_scope()) as registry:
            kind = registry.get(kind)
    return kind if inspect.isclass(kind) else None


def heads(model: Any) -> Iterator[HeadFacts]:
    """The heads whose number of classes has to be that of the data.

    Left out are those of region proposals, of semantic branches and named image heads, which have
    classes of their own, of a teacher, of re-identification, and of models whose classes are text.
    """
    if not isinstance(model, Mapping) or any('language_model' in part for _, part in parts(model)):
        return
    for key, part in parts(model, 'model'):
        steps = [step for step in key.split('.') if not step.isdigit()]
        if any(step.startswith(('teacher', 'rpn_head', 'semantic_head', 'reid', 'image_heads'))
               for step in steps):
            continue
        if steps[-1] not in HEADS or part.get('class_agnostic'):
            continue
        number = part.get('num_classes', part.get('num_things_classes'))
        name = 'num_classes' if 'num_classes' in part else 'num_things_classes'
        if number is None:
            number, name = _default_classes(part), 'num_classes'
        if isinstance(number, int):
            yield HeadFacts(join(key, name), number, steps[-1] in ('head', 'image_head'))


def _default_classes(head: Mapping[str, Any]) -> int | None:
    """The number of classes of a head whose config does not give it."""
    kind = model_class(head)
    if kind is None:
        return None
    for base in kind.__mro__:  # a constructor hands **kwargs on to its base's
        parameter = inspect.signature(base.__init__).parameters.get('num_classes')
        if parameter is not None:
            return parameter.default if isinstance(parameter.default, int) else None
    return None


def backbone_features(backbone: Mapping[str, Any]) -> list[torch.Tensor] | None:
    """The feature maps of a backbone for an image of 128 pixels, on the meta device: shapes alone.

    None where that cannot be told, as where an operator does not know the meta device.
    """
    try:
        with torch.device('meta'), torch.no_grad():
            module = build(backbone)
            module.eval()  # not in one expression: mmdet's ResNet returns None
            return list(module(torch.empty(1, 3, 128, 128)))
    except Exception:  # noqa: BLE001 - whatever a model of another library raises
        return None


def backbone_channels(backbone: Mapping[str, Any]) -> list[int] | None:
    """The channels of a backbone's feature maps, in order; None where that cannot be told."""
    if is_tresnet(backbone):
        try:
            channels = stage_channels(backbone.get('arch', 'm'))
            return [channels[i] for i in backbone.get('out_indices', range(4))]
        except (IndexError, KeyError, TypeError, ValueError):  # building it says what is wrong
            return None
    features = backbone_features(backbone)
    return None if features is None else [feature.shape[1] for feature in features]


def neck_takes(neck: Any, backbone: Mapping[str, Any]) -> bool:
    """Whether a neck (or a list of necks) runs on the feature maps of a backbone.

    Also true where that cannot be told.
    """
    features: Any = backbone_features(backbone)
    if features is None:
        return True
    try:
        with torch.device('meta'), torch.no_grad():
            for part in neck if isinstance(neck, (list, tuple)) else [neck]:
                features = build(part).eval()(tuple(features))
    except NotImplementedError:  # an operator without shapes alone: not a matter of channels
        return True
    except Exception:  # noqa: BLE001
        return False
    return True


def build(cfg: Mapping[str, Any]) -> nn.Module:
    """Build a part of a model from a copy of its config, in the scope that is set."""
    with MODELS.switch_scope_and_registry(_current_scope()) as registry:
        return registry.build(ConfigDict(deepcopy(_plain(cfg))))


def build_model(model: Mapping[str, Any]) -> nn.Module:
    """Build a whole model to look at its parameters: without memory where it allows that.

    Raises:
        Exception: What the model itself raises where it cannot be built at all.
    """
    try:
        with torch.device('meta'):
            return build(model)
    except Exception:  # noqa: BLE001 - some constructors compute with values
        return build(model)


def is_tresnet(backbone: Any) -> bool:
    """Whether a backbone's config is that of a TResNet."""
    return isinstance(backbone, Mapping) and type_name(backbone.get('type')) == 'TResNet'


def backbones(model: Any) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """The backbones of a model, teachers' left out: (dotted key, config, config of the owner)."""
    for key, part in parts(model, 'model'):
        if isinstance(part.get('backbone'), Mapping) and 'teacher' not in key:
            yield join(key, 'backbone'), part['backbone'], part


def _current_scope() -> str:
    scope = DefaultScope.get_current_instance()
    return 'mmengine' if scope is None else scope.scope_name


def _plain(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {key: _plain(value) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return type(node)(_plain(value) for value in node)
    return node
