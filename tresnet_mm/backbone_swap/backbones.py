"""Where in a model's config its ResNets are, each with what belongs to it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..config_tree import join, type_name
from .resnets import tresnet_config


@dataclass(frozen=True)
class Wrapper:
    """A backbone that holds a ResNet as ``backbone_cfg`` and reads its stages by itself.

    Attributes:
        setting: Its argument that gives the channels it reads.
        stages: The stage of each of them; None for one that is of its own making.
        default: The argument's default.
        backbone: The class that takes the ResNet's place.
        filled: An argument whose last number fills ``setting[1]`` up, from ``setting[0]`` on:
            the two are concatenated.
        filled_default: The default of that one.
    """

    setting: str
    stages: tuple[int | None, ...]
    default: tuple[int, ...]
    backbone: str = 'TResNet'
    filled: str | None = None
    filled_default: tuple[int, ...] = ()


#: Both of mmseg.
WRAPPERS = {
    'ICNet': Wrapper('layer_channels', (1, 3), (512, 2048), backbone='ICNetTResNet'),
    'BiSeNetV1': Wrapper('context_channels', (None, 2, 3), (128, 256, 512),
                         filled='spatial_channels', filled_default=(64, 64, 64, 128)),
}


@dataclass(frozen=True)
class Backbone:
    """A ResNet in the config of a model.

    Attributes:
        owner: The part of the model that has it, next to the necks and heads that read it.
        where: The dotted key of ``owner``.
        holder: The dict or list that has the ResNet's config.
        key: Its place in ``holder``.
        necks: What its features go through, in this order.
        wrapper: The config of the backbone around it, one of `WRAPPERS`.
    """

    owner: dict[str, Any]
    where: str
    holder: Any
    key: Any
    necks: list[dict[str, Any]]
    wrapper: dict[str, Any] | None = None

    @property
    def resnet(self) -> dict[str, Any]:
        """The config of the backbone."""
        return self.holder[self.key]

    def put_tresnet(self, arch: str, scope: str | None) -> None:
        """Put a TResNet in the place of the ResNet; the arguments as of `tresnet_config`."""
        resnet = self.resnet
        pretrained = bool(resnet.get('init_cfg') or resnet.get('pretrained')
                          or self.owner.get('pretrained') or self._weights_of_all())
        kind = 'TResNet'
        if self.wrapper is not None:
            kind = WRAPPERS[type_name(self.wrapper['type'])].backbone
        self.holder[self.key] = tresnet_config(resnet, arch, scope, pretrained, kind)

    def forget_weights(self) -> str | None:
        """Remove the weights of the old model from the owner; the name of those of all of it."""
        if self.owner.get('pretrained'):
            self.owner['pretrained'] = None
        weights = self._weights_of_all()
        if weights:
            self.owner['init_cfg'] = None
        return weights

    def _weights_of_all(self) -> str | None:
        init = self.owner.get('init_cfg')
        if isinstance(init, dict) and type_name(init.get('type')) in (
                'Pretrained', 'PretrainedInit'):
            return init.get('checkpoint')
        return None


def find_backbones(node: Any, where: str) -> Iterator[Backbone]:
    """All backbones of a model, but for those of teachers, whose weights are given.

    Args:
        node: The config of the model or a part of it.
        where: Its dotted key.
    """
    if isinstance(node, dict):
        encoder = node.get('image_encoder')
        if isinstance(node.get('backbone'), dict):
            yield _of_model(node, where)
        elif isinstance(encoder, list) and encoder and isinstance(encoder[0], dict):
            # mmpretrain's ImageToImageRetriever gives backbone and necks as one list
            yield Backbone(node, where, encoder, 0, encoder[1:])
        for name, value in node.items():
            if name != 'backbone' and not name.startswith('teacher'):
                yield from find_backbones(value, join(where, name))
    elif isinstance(node, (list, tuple)):
        for i, item in enumerate(node):
            yield from find_backbones(item, join(where, i))


def _of_model(model: dict[str, Any], where: str) -> Backbone:
    backbone = model['backbone']
    if type_name(backbone.get('type')) in WRAPPERS and isinstance(
            backbone.get('backbone_cfg'), dict):
        return Backbone(model, where, backbone, 'backbone_cfg', [], wrapper=backbone)
    necks = model.get('neck') or []
    necks = [necks] if isinstance(necks, dict) else list(necks)
    return Backbone(model, where, model, 'backbone', necks)
