"""From a model's config of its image-level head to the head."""

from pathlib import Path

from mmengine.registry import MODELS
from torch import nn

from ...thresholds import load_thresholds
from .multilabel_head import MultiLabelHead


def build_image_head(head: dict, model: nn.Module | None = None) -> MultiLabelHead:
    """Build an image-level head, with what its config leaves to the model.

    Args:
        head: Config of the head. ``thresholds`` may be the file of `save_thresholds`.
        model: Whose part ``features`` the head reads, the backbone by default: the last of its
            ``out_channels`` is the default of ``in_channels``. None where the head reads something
            else.

    Raises:
        ValueError: If ``in_channels`` are needed, the model has no such part, or the file of
            thresholds does not fit.
        FileNotFoundError: If there is no such file.
    """
    head = dict(head)
    if model is not None:
        name = head.get('features', 'backbone')
        part = getattr(model, name, None)
        if not isinstance(part, nn.Module):
            raise ValueError(f'an image head has features={name!r}, and {type(model).__name__} has '
                             f'no {name}')
        if 'in_channels' not in head:
            head['in_channels'] = _channels(part)
    thresholds = head.get('thresholds')
    if isinstance(thresholds, (str, Path)) and 'num_classes' in head:
        head['thresholds'] = load_thresholds(thresholds, head['num_classes'])
    return MODELS.build(head)


def _channels(part: nn.Module) -> int:
    """The channels of the last feature map of a backbone or neck (or of the last of several)."""
    part = part[-1] if isinstance(part, nn.Sequential) else part
    channels = getattr(part, 'out_channels', None)
    if channels is None:
        raise ValueError(f'head needs in_channels: {type(part).__name__} does not say '
                         'how many channels its last stage has')
    return channels if isinstance(channels, int) else list(channels)[-1]
