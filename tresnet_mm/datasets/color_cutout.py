"""Cutout in a random colour."""

import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmengine.registry import TRANSFORMS


@TRANSFORMS.register_module()
class ColorCutout(BaseTransform):
    """Paint a square of one random colour over the image (cutout; ASL's recipe, factor 0.5).

    The centre is drawn uniformly over the image, so the square may reach over the border, where
    it is cut off.

    Required and modified key: ``img`` (H, W, C), uint8. A new array is made.

    Args:
        factor: Side of the square as a fraction of each side of the image, in (0, 1].
        prob: How often it is applied.
    """

    def __init__(self, factor: float = 0.5, prob: float = 1.0) -> None:
        if not 0 < factor <= 1:
            raise ValueError(f'factor must be in (0, 1], got {factor}')
        if not 0 <= prob <= 1:
            raise ValueError(f'prob must be in [0, 1], got {prob}')
        self.factor = factor
        self.prob = prob

    @cache_randomness
    def _draw(self, height: int, width: int, channels: int
              ) -> tuple[bool, tuple[int, int], np.ndarray]:
        """Whether to apply, the centre (y, x), and the colour."""
        apply = np.random.rand() < self.prob
        centre = np.random.randint(height), np.random.randint(width)
        return apply, centre, np.random.randint(0, 256, channels)

    def transform(self, results: dict) -> dict:
        """Cut out of ``results['img']``."""
        height, width = results['img'].shape[:2]
        apply, (y, x), color = self._draw(height, width, results['img'].shape[2])
        if apply:
            img = results['img'].copy()
            rows, cols = self._span(y, height), self._span(x, width)
            # Whole rows of values: pixel by pixel NumPy takes ten times as long.
            line = np.tile(color.astype(img.dtype), cols.stop - cols.start)
            first = cols.start * len(color)
            img.reshape(height, -1)[rows, first:first + len(line)] = line
            results['img'] = img
        return results

    def _span(self, centre: int, side: int) -> slice:
        size = int(self.factor * side + 0.5)
        start = centre - size // 2
        return slice(max(start, 0), min(start + size, side))

    def __repr__(self) -> str:
        return f'{type(self).__name__}(factor={self.factor}, prob={self.prob})'
