"""Who reads which feature map of a backbone, and how many channels it is told of."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ..archs import stage_channels
from ..config_tree import join, type_name
from .backbones import WRAPPERS, Backbone
from .resnets import argument, resnet_channels

#: The settings that give the channels of feature maps, and what says which maps these are: the
#: number of the map, or another setting. Without that setting it is the map of so many channels.
CHANNELS: dict[str, int | str] = {
    'in_channels': 'in_index',
    'c1_in_channels': 0,  # the shallow one of DeepLabV3+
}
#: Necks that hand on their inputs, but for the last one, which they make themselves.
PASSING_ON = ('JPU',)


class FeatureMap(NamedTuple):
    """A feature map of the backbone: its channels before and after the swap."""

    old: int
    new: int


#: The maps that a module gets; None is one that does not come from the backbone.
Maps = list[FeatureMap | None]


def follow_backbone(backbone: Backbone, resnet: dict[str, Any], arch: str,
                    scope: str | None) -> bool:
    """Change the channels of all that reads a backbone, in place.

    Args:
        backbone: The backbone.
        resnet: Config of the ResNet that was there.
        arch: The arch of the TResNet.
        scope: The library whose config this is.

    Returns:
        Whether a 1x1 convolution was put between the backbone and heads that are made for the old
        channels throughout.

    Raises:
        ValueError: If the config does not say which map a module reads.
    """
    stages = [FeatureMap(old, new) for old, new in zip(
        resnet_channels(resnet), stage_channels(arch), strict=True)]
    if backbone.wrapper is not None:
        _follow_in_wrapper(backbone.wrapper, stages, join(backbone.where, 'backbone'))
        return False
    maps: Maps = [stages[i] for i in argument(resnet, 'out_indices', scope)]
    owner = backbone.owner
    if 'roi_head' in owner and not backbone.necks and len(maps) == 1:
        return _adapt(owner, stages[argument(resnet, 'out_indices', scope)[0]])
    for neck in backbone.necks:
        _follow(neck, maps, join(backbone.where, 'neck'))
        maps = _behind(neck, maps)
    for key, part in owner.items():
        if key not in ('backbone', 'neck', 'image_encoder') and not key.startswith('teacher'):
            for node in _dicts(part):
                if key.endswith('head'):
                    _follow(node, maps, join(backbone.where, key))
                _follow_inside(node, maps, join(backbone.where, key))
    return False


def _follow_in_wrapper(config: dict[str, Any], stages: list[FeatureMap], where: str) -> None:
    """Change the channels by which a wrapper reads the stages; what it returns stays the same."""
    wrapper = WRAPPERS[type_name(config['type'])]
    values = list(config.get(wrapper.setting, wrapper.default))
    for i, stage in enumerate(wrapper.stages):
        if stage is not None:
            values[i] = _one(values[i], stage, list(stages), join(where, wrapper.setting, i))
    config[wrapper.setting] = tuple(values)
    if wrapper.filled is not None:
        filled = config.get(wrapper.filled, wrapper.filled_default)
        config[wrapper.filled] = (*filled[:-1], values[1] - values[0])


def _adapt(owner: dict[str, Any], only: FeatureMap) -> bool:
    """Two-stage detectors without a neck have the channels in many places: keep them all."""
    if only.new == only.old:
        return False
    owner['neck'] = dict(
        type='mmdet.ChannelMapper', in_channels=[only.new], out_channels=only.old, kernel_size=1,
        act_cfg=None, num_outs=1)
    return True


def _behind(neck: dict[str, Any], maps: Maps) -> Maps:
    """The maps that a neck returns, as far as they come from the backbone."""
    if type_name(neck.get('type')) in PASSING_ON:
        last = neck.get('end_level', -1) % (len(maps) + 1)
        return [*maps[neck.get('start_level', 0):last - 1], None]
    if 'in_channels' not in neck:  # it works whatever it gets, as pooling does
        return maps
    return []


def _follow(node: dict[str, Any], maps: Maps, where: str) -> None:
    """Change the channels that a module reads."""
    for key, which in CHANNELS.items():
        value = node.get(key)
        if maps and value:
            index = node.get(which) if isinstance(which, str) else which
            node[key] = _followed(value, index, maps, join(where, key))


def _follow_inside(node: Any, maps: Maps, where: str) -> None:
    """The same for the modules inside one, where they tell that they read the backbone.

    That is by an ``in_index``, or by the channels of several maps in a row.
    """
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        inner = join(where, key)
        if isinstance(value, dict):
            if isinstance(value.get('backbone'), dict):
                continue  # a model of its own
            if 'in_index' in value or _names_maps(value.get('in_channels'), maps):
                _follow(value, maps, inner)
            _follow_inside(value, maps, inner)
        elif isinstance(value, (list, tuple)):
            _follow_inside(value, maps, inner)


def _names_maps(channels: Any, maps: Maps) -> bool:
    return (isinstance(channels, (list, tuple)) and (len(channels) > 1 or len(maps) == 1)
            and _run(channels, maps) is not None)


def _followed(value: Any, index: Any, maps: Maps, where: str) -> Any:
    """The new channels in the place of ``value``, one number or a sequence of them."""
    if isinstance(value, (list, tuple)) and isinstance(index, (list, tuple)) \
            and len(value) == len(index):
        return type(value)(_one(v, i, maps, where) for v, i in zip(value, index, strict=True))
    if isinstance(value, (list, tuple)) and index is None:
        run = _run(value, maps)
        if run is None:
            raise _cannot_follow(value, maps, where)
        return type(value)(_new(m, v) for m, v in zip(run, value, strict=True))
    if isinstance(value, int) and (index is None or isinstance(index, int)):
        return _one(value, index, maps, where)
    raise ValueError(f'{where}={value!r} does not go with an index of {index!r}: one number of '
                     'channels has one index, a list has a list of them')


def _one(value: int, index: int | None, maps: Sequence[FeatureMap | None], where: str) -> int:
    """The new channels of one map."""
    if index is None:
        candidates = [m for m in maps if m is not None and m.old == value]
    elif -len(maps) <= index < len(maps):
        if maps[index] is None:
            return value
        candidates = [m for m in [maps[index]] if m is not None and m.old == value]
    else:
        candidates = []
    if len(candidates) != 1:
        raise _cannot_follow(value, maps, where, index)
    return candidates[0].new


def _run(values: Sequence[Any], maps: Maps) -> Maps | None:
    """The consecutive maps that have these channels; None where there are none."""
    for i in range(len(maps) - len(values) + 1):
        run = maps[i:i + len(values)]
        if values and all(m is None or m.old == v for m, v in zip(run, values, strict=True)):
            return run
    return None


def _new(feature_map: FeatureMap | None, value: int) -> int:
    return value if feature_map is None else feature_map.new


def _cannot_follow(value: Any, maps: Sequence[FeatureMap | None], where: str,
                   index: int | None = None) -> ValueError:
    channels = ', '.join('other' if m is None else str(m.old) for m in maps)
    what = f'{where}={value!r}' + ('' if index is None else f' (map {index})')
    return ValueError(f'{what} does not say which feature map it reads: those of the backbone have '
                      f'{channels} channels; correct it, or give in_index')


def _dicts(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
    elif isinstance(node, (list, tuple)):
        for item in node:
            yield from _dicts(item)
