"""Resizing by the shorter side, to the pixel as torchvision does."""

from typing import Any

import mmcv
from mmcv.transforms import BaseTransform
from mmengine.registry import TRANSFORMS


@TRANSFORMS.register_module()
class ResizeShortSide(BaseTransform):
    """Resize an image so that its shorter side has a given length.

    The longer side is rounded down. (mmcv's ``Resize(keep_ratio=True)`` rounds to the nearest,
    which may shift the crop that follows by a pixel.) By Pillow's bilinear
    filter, which anti-aliases and which the published networks were evaluated with.

    Args:
        side: Length of the shorter side in pixels.
        backend: mmcv's 'pillow' or 'cv2'.

    Raises:
        ValueError: If the side is not a positive integer.
    """

    def __init__(self, side: int, backend: str = 'pillow') -> None:
        if not isinstance(side, int) or side < 1:
            raise ValueError(f'side must be a positive integer, got {side!r}')
        self.side = side
        self.backend = backend

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Resize ``img``; sets ``img_shape``, ``scale_factor`` and ``keep_ratio``."""
        height, width = results['img'].shape[:2]
        short = min(height, width)
        size = self.side * width // short, self.side * height // short
        if size != (width, height):
            results['img'] = mmcv.imresize(
                results['img'], size, interpolation='bilinear', backend=self.backend)
        results['img_shape'] = results['img'].shape[:2]
        results['scale_factor'] = size[0] / width, size[1] / height
        results['keep_ratio'] = True
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(side={self.side}, backend={self.backend!r})'
