"""Image files from strangers: looked at before they are decoded, and decoded by one set of rules.

What the rules are, whichever decoder a loader uses:

- the first frame of an animated file; colours without their transparency, never composited;
- 16 bits are scaled to 8 by 1/256, 1 bit becomes 0 and 255, grey and palettes become three
  channels, CMYK becomes RGB;
- the EXIF orientation is applied, unless the annotated size is that of the image before turning:
  then its boxes are those of the unturned pixels;
- a truncated file is refused.

OpenCV and Pillow may differ by a few levels of 255 in CMYK, and with older libraries in a JPEG's
colours, since each has its own arithmetic; a model is trained and tested with the pixels of the one
its config names. Pillow's pixels of a JPEG are those of `opencv_jpeg` where that is quicker.
"""
from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import IO

import cv2
import mmcv
import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.fileio import get
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from .annotations import check_regular_file, is_local
from .opencv_jpeg import decode_as_pillow, is_turned, is_whole_jpeg

#: Pillow's own limit for decompression bombs: what was read before is read still, 0.5 GB at most.
MAX_PIXELS = 178_956_970
#: Formats that hold pixels and nothing else; EPS would start a program.
_FORMATS = ('AVIF', 'BMP', 'DIB', 'GIF', 'JPEG', 'JPEG2000', 'MPO', 'PNG', 'PPM', 'SUN', 'TGA',
            'TIFF', 'WEBP')
_UNTURNED = '_ignore_orientation'


def read_image_bytes(path: str, backend_args: Mapping | None = None,
                     max_pixels: int = MAX_PIXELS) -> tuple[bytes, tuple[int, int]]:
    """Read an image file whose header says that it is one, and of bearable size.

    Args:
        path: The file.
        backend_args: Arguments of mmengine's file backend; local files are opened here.
        max_pixels: The most pixels, width times height.

    Returns:
        The file's bytes, and its (width, height) before any EXIF turning.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no ordinary file, empty, in no known format, or too large.
    """
    if not is_local(path, backend_args):
        data = bytes(get(path, backend_args=backend_args))
        return data, image_size(data, max_pixels)
    num_bytes = check_regular_file(path)
    with open(path, 'rb') as file:
        size = _read_size(file, num_bytes, max_pixels)
        file.seek(0)
        return file.read(), size


def read_image_size(path: str, backend_args: Mapping | None = None,
                    max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """The (width, height) in an image file's header, before any EXIF turning.

    Raises:
        FileNotFoundError, ValueError: As `read_image_bytes`.
    """
    if not is_local(path, backend_args):
        return read_image_bytes(path, backend_args, max_pixels)[1]
    num_bytes = check_regular_file(path)
    with open(path, 'rb') as file:
        return _read_size(file, num_bytes, max_pixels)


def read_image_orientation(path: str) -> int:
    """The EXIF orientation in a local image file's header: 1 to 8, 1 where it has none.

    Raises:
        FileNotFoundError, ValueError: As `read_image_bytes`.
    """
    check_regular_file(path)
    with open(path, 'rb') as file, _pillow(file) as image:
        # The base class reads what is open already; PNG's own would decode the image.
        orientation = Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1)
    return orientation if orientation in range(1, 9) else 1


def image_size(data: bytes, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """The (width, height) in the header of an image file's bytes, before any EXIF turning.

    Raises:
        ValueError: They are none, in no known format, or of an image that is too large.
    """
    return _read_size(io.BytesIO(data), len(data), max_pixels)


def _read_size(file: IO[bytes], num_bytes: int, max_pixels: int) -> tuple[int, int]:
    if not num_bytes:
        raise ValueError('the file is empty')
    with _pillow(file) as image:
        width, height = image.size
    if width * height > max_pixels:
        raise ValueError(f'{width} x {height} pixels are more than max_pixels={max_pixels}')
    if num_bytes > 8 * max_pixels:  # four channels of 16 bits
        raise ValueError(f'the file has {num_bytes} bytes, too many for an image')
    return width, height


@lru_cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


@contextmanager
def _pillow(file: IO[bytes]) -> Iterator[Image.Image]:
    """An image opened by Pillow, whose own limit and warnings our limit replaces."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            try:
                image = Image.open(file, formats=_formats())
            except UnidentifiedImageError:  # its text names a buffer, not the file
                raise ValueError('it is in no image format that is known') from None
            with image:
                yield image
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def decode_image(data: bytes, flag: str = 'color', backend: str = 'cv2',
                 stored_size: tuple[int, int] | None = None,
                 annotated_size: tuple[int, int] | None = None) -> np.ndarray:
    """Decode an image file by the rules of this module.

    Args:
        data: The file's bytes.
        flag: As of ``mmcv.imfrombytes``: ``color``, ``grayscale``, ``unchanged``, and the first two
            with ``_ignore_orientation``.
        backend: ``cv2`` or ``pillow``, or another one of mmcv's. What OpenCV cannot decode, Pillow
            decodes.
        stored_size: (width, height) of the header; needed with ``annotated_size``.
        annotated_size: (width, height) that the annotations are for, if known.

    Returns:
        (H, W, 3), BGR, or (H, W) for grey.

    Raises:
        ValueError: The image is not of ``annotated_size``.
        Exception: Whatever a decoder raises for a damaged file.
    """
    image = _decode(data, flag, backend)
    if annotated_size is None or image.shape[1::-1] == annotated_size:
        return image
    if annotated_size == stored_size and flag in ('color', 'grayscale'):
        return _decode(data, flag + _UNTURNED, backend)
    shown = ' x '.join(map(str, image.shape[1::-1]))
    wanted = ' x '.join(map(str, annotated_size))
    raise ValueError(f'it has {shown} pixels (width x height), its annotations are for {wanted}')


def _decode(data: bytes, flag: str, backend: str) -> np.ndarray:
    if backend == 'pillow':
        return _decode_by_pillow(data, flag)
    if backend != 'cv2':
        return mmcv.imfrombytes(data, flag=flag, backend=backend)
    if data.startswith(b'\x89PNG'):
        whole = _is_whole_png(data)
        if not whole:  # OpenCV takes as much memory as a damaged length says
            return _decode_by_pillow(data, flag)
    else:
        whole = is_whole_jpeg(data)
    if not whole:  # older versions of OpenCV fill the rest with grey
        with _pillow(io.BytesIO(data)) as opened:
            opened.load()
    try:
        image = mmcv.imfrombytes(data, flag=flag, backend='cv2')
    except cv2.error:
        image = None
    return _decode_by_pillow(data, flag) if image is None else image


def _is_whole_png(data: bytes) -> bool:
    """Whether the chunks of a PNG follow each other up to its end."""
    at = 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at:at + 4], 'big')
        if data[at + 4:at + 8] == b'IEND':
            return True
        at += 12 + length
    return False


def _decode_by_pillow(data: bytes, flag: str) -> np.ndarray:
    """What ``mmcv.imfrombytes`` does with Pillow, but for 16 bits and for grey with alpha."""
    if flag == 'unchanged':
        return mmcv.imfrombytes(data, flag=flag, backend='pillow')
    with _pillow(io.BytesIO(data)) as image:
        pixels = decode_as_pillow(data, image) if flag.startswith('color') else None
        return pillow_pixels(image, flag) if pixels is None else pixels


def pillow_pixels(image: Image.Image, flag: str = 'color') -> np.ndarray:
    """The pixels of a Pillow image by the rules of this module.

    Args:
        image: The image, with its EXIF orientation not yet applied.
        flag: ``color`` or ``grayscale``, and with ``_ignore_orientation``.

    Returns:
        uint8 (H, W, 3), BGR, or (H, W) for grey.

    Raises:
        ValueError: Its pixels are no integers, or have more than 16 bits.
    """
    image.load()  # what some formats say of the orientation stands behind the pixels
    if not flag.endswith(_UNTURNED) and is_turned(image):
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith('I'):  # I;16 and its kin, and I of a 16-bit PNG
        levels = np.asarray(image)
        if levels.min() < 0 or levels.max() > 65535:
            raise ValueError(f'mode {image.mode} with levels beyond 16 bits is not supported')
        image = Image.fromarray((levels >> 8).astype(np.uint8))
    elif image.mode == 'F':
        raise ValueError('mode F (pixels that are no integers) is not supported')
    elif image.mode in ('LA', 'La', 'PA'):
        image = image.convert('LA' if image.mode != 'PA' else 'RGBA')
        image = image.getchannel('L') if image.mode == 'LA' else image
    if flag.startswith('grayscale'):
        return np.asarray(image.convert('L'))
    image = image if image.mode == 'RGB' else image.convert('RGB')  # which would be a copy
    return cv2.cvtColor(np.asarray(image), cv2.COLOR_RGB2BGR)


def check_images(dataset: BaseDataset, number: int = 64) -> tuple[int, list[str]]:
    """Look at the headers of a sample of a data set's images, spread evenly over it.

    Args:
        dataset: A data set whose records have ``img_path``, and ``width`` and ``height`` where the
            annotations hold for one size alone.
        number: How many images to look at.

    Returns:
        How many were looked at, and a line for each that is missing, unreadable, or of another size
        than annotated (turned by EXIF or not).
    """
    number = min(number, len(dataset))
    problems = []
    for i in range(number):
        record = dataset.get_data_info(i * len(dataset) // number)
        path = record['img_path']
        try:
            size = read_image_size(path, getattr(dataset, 'backend_args', None))
        except (OSError, ValueError) as error:
            text = str(error)
            problems.append(text if str(path) in text else f'image {path!r}: {text}')
            continue
        wanted = record.get('width'), record.get('height')
        if None not in wanted and sorted(size) != sorted(wanted):
            problems.append(f'image {path!r} has {size[0]} x {size[1]} pixels (width x height), '
                            f'its annotations are for {wanted[0]} x {wanted[1]}')
    return number, problems
