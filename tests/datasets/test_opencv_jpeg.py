"""JPEGs by OpenCV in Pillow's place: only where the pixels are Pillow's."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from tresnet_mm.datasets import opencv_jpeg
from tresnet_mm.datasets.image_file import decode_image
from tresnet_mm.datasets.opencv_jpeg import decode_as_pillow, is_whole_jpeg


def jpeg(mode: str = 'RGB', size: tuple[int, int] = (75, 53), **kwargs) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).convert(mode).save(file, 'JPEG', **kwargs)
    return file.getvalue()


def by_pillow(data: bytes) -> np.ndarray:
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    return np.asarray(image.convert('RGB'))[..., ::-1]


@pytest.fixture
def decoders(monkeypatch):
    """Which files OpenCV decodes."""
    seen = []
    original = opencv_jpeg._decode
    opencv_jpeg.opencv_agrees_with_pillow()  # before it is watched
    monkeypatch.setattr(opencv_jpeg, '_decode', lambda data: seen.append(data) or original(data))
    return seen


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


PLAIN = {
    'colour, 4:2:0': jpeg(subsampling=2), 'colour, 4:2:2': jpeg(subsampling=1),
    'colour, 4:4:4': jpeg(subsampling=0), 'progressive': jpeg(progressive=True),
    'grey': jpeg('L'), 'one pixel': jpeg(size=(1, 1)), 'low quality': jpeg(quality=5),
    'EXIF that turns nothing': jpeg(exif=turned(1)),
}
OTHERS = {'CMYK': jpeg('CMYK'), 'turned': jpeg(exif=turned(6)), 'mirrored': jpeg(exif=turned(2))}


@pytest.mark.parametrize('name', PLAIN)
def test_plain_files_are_opencv_s_with_pillow_s_pixels(decoders, name):
    if not opencv_jpeg.opencv_agrees_with_pillow():
        pytest.skip('this OpenCV has pixels of its own')
    assert np.array_equal(decode_image(PLAIN[name], backend='pillow'), by_pillow(PLAIN[name]))
    assert decoders == [PLAIN[name]]


@pytest.mark.parametrize('name', OTHERS)
def test_others_are_pillow_s(decoders, name):
    assert np.array_equal(decode_image(OTHERS[name], backend='pillow'), by_pillow(OTHERS[name]))
    assert not decoders


def test_an_opencv_with_other_pixels_decodes_nothing(monkeypatch):
    """As older ones have them: here of a picture that is brighter by one level."""
    original = cv2.imdecode
    monkeypatch.setattr(cv2, 'imdecode', lambda *args: cv2.add(original(*args), 1))
    opencv_jpeg.opencv_agrees_with_pillow.cache_clear()
    try:
        assert not opencv_jpeg.opencv_agrees_with_pillow()
        data = PLAIN['colour, 4:2:0']
        assert decode_as_pillow(data, Image.open(io.BytesIO(data))) is None
        assert np.array_equal(decode_image(data, backend='pillow'), by_pillow(data))
    finally:
        opencv_jpeg.opencv_agrees_with_pillow.cache_clear()


@pytest.mark.parametrize('flag', ['grayscale', 'grayscale_ignore_orientation'])
def test_grey_of_a_colour_image_is_pillow_s(decoders, flag):
    data = PLAIN['colour, 4:2:0']
    expected = np.asarray(Image.open(io.BytesIO(data)).convert('L'))
    assert np.array_equal(decode_image(data, flag, 'pillow'), expected)
    assert not decoders


def test_whole_files():
    data = PLAIN['progressive']  # has several scans
    assert is_whole_jpeg(data)
    assert is_whole_jpeg(data + b'behind the end')
    for cut in (1, 2, 3, len(data) // 2, len(data) - 3):
        assert not is_whole_jpeg(data[:-cut])
    assert not is_whole_jpeg(b'')
    assert not is_whole_jpeg(b'\x89PNG\xff\xd9')
    # A thumbnail's end mark, before the scan of the image itself, is not the image's.
    assert not is_whole_jpeg(b'\xff\xd8 thumbnail: \xff\xda..\xff\xd9 image: \xff\xda...')


def test_damage_that_opencv_cannot_decode_is_told_by_pillow(decoders):
    data = PLAIN['colour, 4:2:0']
    at = data.index(b'\xff\xc4')  # the first Huffman table
    damaged = data[:at + 5] + b'\xff' * 16 + data[at + 21:]
    with pytest.raises(OSError):
        decode_image(damaged, backend='pillow')
    assert decoders == [damaged]
