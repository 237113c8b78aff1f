"""From a model's config of its image-level head to the head."""

from pathlib import Path

from mmengine.registry import MODELS
from torch import nn

from ...thresholds import load_thresholds
from .multilabel_head import MultiLabelHead


def build_image_head(head: dict, backbone: nn.Module | None = None) -> MultiLabelHead:
    """Build an image-level head, with what its config leaves to the model.

    Args:
        head: Config of the head. ``thresholds`` may be the file of `save_thresholds`.
        backbone: What the head reads the last stage of: its ``out_channels`` are the default of
            ``in_channels``. None where the head reads something else.

    Raises:
        ValueError: If ``in_channels`` are needed, or the file of thresholds does not fit.
        FileNotFoundError: If there is no such file.
    """
    head = dict(head)
    if backbone is not None and 'in_channels' not in head:
        channels = getattr(backbone, 'out_channels', None)
        if channels is None:
            raise ValueError(f'head needs in_channels: {type(backbone).__name__} does not say '
                             'how many channels its last stage has')
        head['in_channels'] = list(channels)[-1]
    thresholds = head.get('thresholds')
    if isinstance(thresholds, (str, Path)) and 'num_classes' in head:
        head['thresholds'] = load_thresholds(thresholds, head['num_classes'])
    return MODELS.build(head)
