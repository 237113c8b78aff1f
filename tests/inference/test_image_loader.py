"""One image by every way in gives the same pixels; what is none is refused by its name."""

import io
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest
from mmcv.transforms import LoadImageFromFile, Resize
from PIL import Image

from tresnet_mm.datasets import LoadImageChecked
from tresnet_mm.file_backends import web_file
from tresnet_mm.inference import web_image
from tresnet_mm.inference.image_loader import ImageLoader
from tresnet_mm.inference.image_sources import ImageSource


@pytest.fixture
def turned() -> bytes:
    """A JPEG whose EXIF tag turns it by a quarter; 40 x 24 pixels before that."""
    coarse = np.random.default_rng(0).integers(0, 256, (3, 5, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((40, 24), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    image.save(buffer, 'JPEG', exif=exif, quality=95)
    return buffer.getvalue()


@contextmanager
def serving(body: bytes, announced: int | None = None):
    """A server on the loopback interface with one image; other addresses are not there."""

    class Handler(BaseHTTPRequestHandler):

        def do_GET(self):
            self.send_response(200 if self.path == '/image.jpg' else 404)
            self.send_header('Content-Length', str(len(body) if announced is None else announced))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(('127.0.0.1', 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.01, ), daemon=True)
        thread.start()
        yield f'http://127.0.0.1:{http.server_port}/image.jpg'
        http.shutdown()
        thread.join()


@pytest.mark.parametrize('backend', ['cv2', 'pillow'])
def test_every_way_in_gives_the_pixels_of_the_pipelines_loader(backend, turned, tmp_path):
    (tmp_path / 'image.jpg').write_bytes(turned)
    path = str(tmp_path / 'image.jpg')
    own = LoadImageChecked(imdecode_backend=backend)
    expected = own.transform(dict(img_path=path))['img']
    assert expected.shape == (40, 24, 3)  # turned
    loader = ImageLoader(own)
    with serving(turned) as url:
        ways = [path, url, expected, Image.open(path)]
        records = [loader(ImageSource(way, number)) for number, way in enumerate(ways)]
    for number, (record, way) in enumerate(zip(records, ways, strict=True)):
        assert record['img_id'] == number
        assert record['img_path'] == (way if isinstance(way, str) else None)
        assert record['img_shape'] == record['ori_shape'] == (40, 24)
        if isinstance(way, Image.Image) and backend == 'cv2':  # another decoder of JPEG
            assert np.abs(record['img'].astype(int) - expected).max() < 20
        else:
            np.testing.assert_array_equal(record['img'], expected)
    assert records[2]['img'] is not expected


def test_a_pillow_image_is_rgb_and_an_array_bgr():
    loader = ImageLoader(LoadImageFromFile())
    array, image = np.full((2, 2, 3), (255, 0, 0), np.uint8), Image.new('RGB', (2, 2), 'blue')
    np.testing.assert_array_equal(loader(ImageSource(image, 0))['img'], array)
    np.testing.assert_array_equal(loader(ImageSource(array, 0))['img'], array)


def test_the_pipelines_type_of_pixels_holds_for_all():
    loader = ImageLoader(LoadImageFromFile(to_float32=True))
    assert loader(ImageSource(Image.new('L', (2, 2)), 0))['img'].dtype == np.float32


def test_what_loads_no_image_is_named():
    with pytest.raises(ValueError, match='starts with Resize, which does not load an image'):
        ImageLoader(Resize((4, 4)))


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(web_file, '_PAUSE', 0)
    monkeypatch.setattr(web_image, 'MAX_BYTES', 10_000)


@pytest.mark.parametrize(('body', 'announced', 'kind', 'message'), [
    (b'no image', None, ValueError, 'image .*image.jpg. cannot be read: .*no image format'),
    (b'', None, ValueError, 'image .*image.jpg. cannot be read: the file is empty'),
    (bytes(20_000), None, ValueError, 'image.jpg has more than 10000 bytes'),
    (bytes(9), 10, OSError, 'cannot download the image: .*image.jpg .* 9 of 10 bytes'),
])
def test_what_the_web_gives_is_looked_at(body, announced, kind, message, impatient):
    with serving(body, announced) as url, pytest.raises(kind, match=message):
        ImageLoader(LoadImageChecked())(ImageSource(url, 0))


def test_an_address_without_anything_is_named(impatient):
    message = r'/none.jpg does not exist: .*HTTP Error 404'
    with serving(b'') as url, pytest.raises(OSError, match=message):
        ImageLoader(LoadImageChecked())(ImageSource(url.replace('image.jpg', 'none.jpg'), 0))


def test_a_transfer_has_an_end(impatient, monkeypatch, turned):
    monkeypatch.setattr(web_image, 'MAX_SECONDS', -1)
    with serving(turned) as url, pytest.raises(ValueError, match='is not there after -1 s'):
        ImageLoader(LoadImageChecked())(ImageSource(url, 0))


def test_a_truncated_file_and_a_float_image_are_named(turned, tmp_path):
    (tmp_path / 'half.jpg').write_bytes(turned[:-60])
    loader = ImageLoader(LoadImageFromFile())
    with pytest.raises(ValueError, match=r'half.jpg. cannot be read: .*truncated'):
        loader(ImageSource(str(tmp_path / 'half.jpg'), 0))
    with pytest.raises(ValueError, match=r'image images\[7\] cannot be read: mode F'):
        loader(ImageSource(Image.new('F', (2, 2)), 7))


def test_an_unknown_decoder_is_the_pipelines_business(tmp_path):
    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((2, 2, 3), np.uint8))
    assert ImageLoader(LoadImageFromFile(color_type='grayscale'))(
        ImageSource(str(tmp_path / 'a.png'), 0))['img'].shape == (2, 2)
