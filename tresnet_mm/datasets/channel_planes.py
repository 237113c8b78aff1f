"""From an image's interleaved channels to the planes that a model takes."""
from __future__ import annotations

import cv2
import numpy as np


def channel_planes(img: np.ndarray) -> np.ndarray:
    """Copy an image (H, W, C), or (H, W), to planes (C, H, W) in C order, as fast as can be.

    NumPy's and PyTorch's copies of a transposed image go value by value, OpenCV's take many at
    once and are up to ten times as fast. An image mirrored by reversed strides, as mmcv's
    ``imflip`` does it, is therefore read forwards, and its planes are mirrored by OpenCV.
    """
    if img.ndim == 2 or img.dtype != np.uint8 or img.shape[2] != 3 or not img.size:
        img = img[..., None] if img.ndim == 2 else img
        return img.transpose(2, 0, 1).copy()
    mirrored = [axis for axis in (0, 1) if img.strides[axis] < 0]
    planes = np.empty((3, *img.shape[:2]), np.uint8)
    cv2.split(np.flip(img, mirrored), list(planes))
    if mirrored:
        for plane in planes:  # in place; OpenCV's codes: 0 mirrors the rows, 1 the columns, -1 both
            cv2.flip(plane, -1 if len(mirrored) == 2 else mirrored[0], plane)
    return planes
