"""JPEG files by OpenCV's decoder where it gives Pillow's pixels, in less time.

Both carry a libjpeg-turbo of their own. Those of today give the same pixels to the bit; older ones
did not, and a model's scores shall not hang on the version of a library. So whether the installed
two agree is tried out, once a process, and where they do not Pillow decodes everything.
"""
from __future__ import annotations

import io
from functools import lru_cache

import cv2
import numpy as np
from PIL import ExifTags, Image

_SUBSAMPLINGS = {'4:4:4': 0, '4:2:2': 1, '4:2:0': 2}


def is_whole_jpeg(data: bytes) -> bool:
    """Whether a file is a JPEG whose last scan is followed by an end mark."""
    if not data.startswith(b'\xff\xd8'):
        return False
    end = data.rfind(b'\xff\xd9')
    return end >= 0 and data.find(b'\xff\xda', end) < 0


@lru_cache
def opencv_agrees_with_pillow() -> bool:
    """Whether both decode JPEGs of noise, each way to sample colours and grey, to equal pixels."""
    noise = np.random.default_rng(0).integers(0, 256, (53, 75, 3), dtype=np.uint8)
    images = [(Image.fromarray(noise), sampling) for sampling in _SUBSAMPLINGS.values()]
    for image, sampling in [*images, (Image.fromarray(noise[..., 0]), 0)]:
        file = io.BytesIO()
        image.save(file, 'JPEG', quality=90, subsampling=sampling)
        by_opencv = _decode(file.getvalue())
        by_pillow = np.asarray(Image.open(file).convert('RGB'))[..., ::-1]
        if by_opencv is None or not np.array_equal(by_opencv, by_pillow):
            return False
    return True


def decode_as_pillow(data: bytes, image: Image.Image) -> np.ndarray | None:
    """Decode a JPEG by OpenCV to the pixels that Pillow would give.

    Args:
        data: The file's bytes.
        image: The same file, opened by Pillow, its pixels not yet loaded.

    Returns:
        uint8 (H, W, 3), BGR; None where that is Pillow's to do: another format, other colours than
        RGB and grey, an image to be turned, a damaged file, or an OpenCV with pixels of its own.
    """
    if (image.format != 'JPEG' or image.mode not in ('RGB', 'L') or not is_whole_jpeg(data)
            or is_turned(image) or not opencv_agrees_with_pillow()):
        return None
    return _decode(data)


def is_turned(image: Image.Image) -> bool:
    """Whether an image's EXIF orientation says that it is stored turned or mirrored."""
    return image.getexif().get(ExifTags.Base.Orientation, 1) in range(2, 9)


def _decode(data: bytes) -> np.ndarray | None:
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8),
                            cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        return None
