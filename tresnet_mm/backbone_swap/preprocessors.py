"""The data preprocessors of the mm libraries, set to what TResNet takes for an image."""

import copy
from typing import Any

from ..config_tree import type_name
from ..models.input_format import UNIT_RGB

#: These say ``to_rgb`` for what all others call ``bgr_to_rgb``; mmpretrain's default has no type.
SAYS_TO_RGB = ('', 'ClsDataPreprocessor', 'SelfSupDataPreprocessor', 'TwoNormDataPreprocessor',
               'VideoDataPreprocessor', 'MultiModalDataPreprocessor')


def unit_rgb(preprocessor: dict[str, Any]) -> dict[str, Any]:
    """The settings that make RGB in [0, 1] of what a data preprocessor gets.

    Args:
        preprocessor: Its config, with a ``mean``. One of other than three channels keeps their
            order.
    """
    settings: dict[str, Any] = copy.deepcopy(UNIT_RGB)
    channels = len(preprocessor['mean'])
    if channels != len(settings['mean']):
        return dict(mean=[0] * channels, std=[255] * channels)
    if type_name(preprocessor.get('type')) in SAYS_TO_RGB:
        settings['to_rgb'] = settings.pop('bgr_to_rgb')
    if preprocessor.get('rgb_to_bgr'):
        settings['rgb_to_bgr'] = False
    return settings
