"""RandAugment's operations on colours, with the pixels of mmdet's, to the bit, in less time.

mmcv's look each pixel up by NumPy, from a histogram that NumPy counts, or blend float images; some
take longer than the decoding of the image. Where a table of 256 levels says what becomes of a
pixel, OpenCV looks it up here.
"""
from __future__ import annotations

from abc import abstractmethod

import cv2
import numpy as np
from mmdet.datasets.transforms import (
    AutoContrast,
    Brightness,
    Contrast,
    Equalize,
    Sharpness,
    Solarize,
)
from mmdet.datasets.transforms.colorspace import ColorTransform
from mmengine.registry import TRANSFORMS

LEVELS = np.arange(256)
#: Pillow's ``SMOOTH``, as in mmcv.
_SMOOTH = np.array([[1., 1., 1.], [1., 5., 1.], [1., 1., 1.]]) / 13


class _TablePerChannel(ColorTransform):
    """Give each channel of ``img``, uint8 (H, W, C), new levels, chosen by its histogram."""

    @abstractmethod
    def _table(self, counts: np.ndarray) -> np.ndarray:
        """The new level, in [0, 255], of each of the 256; ``counts`` has the pixels of each."""

    def _transform_img(self, results: dict, mag: float) -> None:
        planes = cv2.split(results['img'])
        results['img'] = cv2.merge([
            cv2.LUT(plane, self._table(_histogram(plane)).astype(np.uint8)) for plane in planes])


def _histogram(plane: np.ndarray) -> np.ndarray:
    """How many pixels of a channel have each of the 256 levels."""
    return cv2.calcHist([plane], [0], None, [256], [0, 256]).ravel().astype(np.int64)


class _TableOfLevels(ColorTransform):
    """Let mmdet's operation change the 256 levels, and ``img``, uint8 (H, W, C), by the outcome."""

    def _transform_img(self, results: dict, mag: float) -> None:
        levels = dict(img=LEVELS.astype(np.uint8))
        super()._transform_img(levels, mag)
        results['img'] = cv2.LUT(results['img'], levels['img'])


@TRANSFORMS.register_module()
class FastAutoContrast(_TablePerChannel, AutoContrast):
    """mmdet's ``AutoContrast``: each channel's levels are spread over 0 to 255."""

    def _table(self, counts: np.ndarray) -> np.ndarray:
        low, high = np.flatnonzero(counts)[[0, -1]]
        if low == high:
            return LEVELS
        scale = 255.0 / (high - low)
        return np.clip(LEVELS * scale + -low * scale, 0, 255)


@TRANSFORMS.register_module()
class FastEqualize(_TablePerChannel, Equalize):
    """mmdet's ``Equalize``: each channel's levels become equally frequent."""

    def _table(self, counts: np.ndarray) -> np.ndarray:
        step = (counts.sum() - counts[counts > 0][-1]) // 255
        if step == 0:
            return LEVELS
        before = np.concatenate([[0], (np.cumsum(counts)[:-1] + step // 2) // step])
        return np.minimum(before, 255)


@TRANSFORMS.register_module()
class FastContrast(Contrast):
    """mmdet's ``Contrast``: all levels move towards the mean grey, or away from it."""

    def _transform_img(self, results: dict, mag: float) -> None:
        img = results['img']
        grey = cv2.cvtColor(img, cv2.COLOR_BGR2GRAY)
        mean = round(cv2.sumElems(grey)[0] / grey.size)
        table = cv2.addWeighted(
            LEVELS.astype(np.float32), mag, np.full(256, mean, np.float32), 1 - mag, 0)
        results['img'] = cv2.LUT(img, np.clip(table, 0, 255).astype(np.uint8))


@TRANSFORMS.register_module()
class FastBrightness(_TableOfLevels, Brightness):
    """mmdet's ``Brightness``: all levels move towards black, or away from it."""


@TRANSFORMS.register_module()
class FastSolarize(_TableOfLevels, Solarize):
    """mmdet's ``Solarize``: the levels from a threshold on are inverted."""


@TRANSFORMS.register_module()
class FastSharpness(Sharpness):
    """mmdet's ``Sharpness``: all pixels move towards the smoothed image, or away from it."""

    def _transform_img(self, results: dict, mag: float) -> None:
        img = results['img']
        smooth = cv2.filter2D(img, -1, _SMOOTH)
        # From uint8 to float32 in one step: mmcv makes float images of both first.
        blended = cv2.addWeighted(img, mag, smooth, 1 - mag, 0, dtype=cv2.CV_32F)
        results['img'] = np.clip(blended, 0, 255, out=blended).astype(np.uint8)
