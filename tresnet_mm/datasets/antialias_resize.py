"""Resizing by the bilinear filter that anti-aliases: Pillow's, as PyTorch's faster code has it."""
from __future__ import annotations

from typing import Any

import mmcv
import numpy as np
import torch
from mmcv.transforms import Resize
from mmengine.registry import TRANSFORMS
from torch.nn import functional


def resize_antialiased(img: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize an image as Pillow's bilinear filter does, to within 1 of 255.

    Args:
        img: uint8 (H, W, C) or (H, W), any channels in any order.
        size: (width, height) of the result.

    Returns:
        uint8 (height, width, C) or (height, width), in C order.

    Raises:
        ValueError: The image is not uint8.
    """
    if img.dtype != np.uint8:
        raise ValueError(f'only uint8 images are resized with anti-aliasing, got {img.dtype}; '
                         'resize before to_float32')
    width, height = size
    pixels = img[..., None] if img.ndim == 2 else img
    if min(pixels.strides) < 0 or not (pixels.flags.c_contiguous and pixels.flags.writeable):
        pixels = pixels.copy()
    # A view in channels_last, the format that PyTorch has its fast code for; it knows it by the
    # strides, that of the batch included.
    batch = torch.from_numpy(pixels)[None].permute(0, 3, 1, 2)
    resized = functional.interpolate(batch, (height, width), mode='bilinear', antialias=True)
    result = np.ascontiguousarray(resized[0].permute(1, 2, 0).numpy())
    return result[..., 0] if img.ndim == 2 else result


@TRANSFORMS.register_module()
class AntialiasResize(Resize):
    """mmcv's ``Resize(backend='pillow')`` in a fraction of its time.

    The pixels are Pillow's or one level of 255 beside them, which one in some hundreds is. Boxes,
    masks and keypoints are treated as by mmcv's ``Resize``, and the same keys are set.

    Args:
        scale: (width, height) in pixels, or one number for both.
        **kwargs: ``scale_factor``, ``keep_ratio`` and ``clip_object_border`` of mmcv's ``Resize``.

    Raises:
        ValueError: ``backend`` or ``interpolation`` is given, of which there is one here; or, when
            an image comes, it is not uint8.
    """

    def __init__(self, scale: int | tuple[int, int] | None = None, **kwargs: Any) -> None:
        for name in ('backend', 'interpolation'):
            if name in kwargs:
                raise ValueError(f'AntialiasResize has no {name!r}, got {kwargs[name]!r}: it is '
                                 "PyTorch's bilinear filter; mmcv's Resize has others")
        super().__init__(scale, backend='pillow', **kwargs)  # what maps of segments go by

    def _resize_img(self, results: dict) -> None:
        """Resize ``results['img']`` to ``results['scale']``."""
        img = results.get('img')
        if img is None:
            return
        height, width = img.shape[:2]
        size = results['scale']
        if self.keep_ratio:
            size = mmcv.rescale_size((width, height), size)
        results['img'] = resize_antialiased(img, size)
        results['img_shape'] = results['img'].shape[:2]
        results['scale_factor'] = size[0] / width, size[1] / height
        results['keep_ratio'] = self.keep_ratio

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(scale={self.scale}, scale_factor={self.scale_factor}, '
                f'keep_ratio={self.keep_ratio}, clip_object_border={self.clip_object_border})')
