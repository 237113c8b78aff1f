"""Images: the same values for both tasks, and files that are refused before they do harm."""

import io
import os
import resource
from pathlib import Path
from typing import ClassVar

import cv2
import mmcv
import numpy as np
import pytest
from mmcv.transforms import LoadImageFromFile
from mmengine.fileio import LocalBackend, register_backend
from mmengine.registry import DATASETS, TRANSFORMS, init_default_scope
from PIL import Image

from benchmarks.time_limit import time_limit
from tests.bad_input.cases_data import png_header
from tresnet_mm.datasets import CustomMultiLabel, LoadImageChecked, check_images
from tresnet_mm.datasets.image_file import MAX_PIXELS, decode_image, read_image_size

BACKENDS = ['cv2', 'pillow']
LOADERS = {'detection': dict(type='LoadImageFromFile'),
           'multi-label': dict(type='LoadImageChecked')}


def noise(height=24, width=32, channels=3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)


def load(loader: str, path, **results) -> np.ndarray:
    init_default_scope('mmdet')
    return TRANSFORMS.build(LOADERS[loader])(dict(img_path=str(path), **results))['img']


@pytest.mark.parametrize('suffix', ['jpg', 'png', 'bmp', 'tiff', 'webp', 'ppm'])
def test_pixels_of_mmcv(tmp_path, suffix):
    """Detection's loader gives what mmcv's gives, to the bit; so do real images below."""
    path = str(tmp_path / f'x.{suffix}')
    Image.fromarray(noise()).save(path)
    assert np.array_equal(load('detection', path), LoadImageFromFile()(dict(img_path=path))['img'])


def test_pixels_of_mmcv_on_real_images(coco_tiny):
    paths = sorted((coco_tiny / 'val2017').iterdir())[:10]
    for path in map(str, paths):
        for loader, backend in (('detection', 'cv2'), ('multi-label', 'pillow')):
            expected = LoadImageFromFile(imdecode_backend=backend)(dict(img_path=path))['img']
            assert np.array_equal(load(loader, path), expected)


@pytest.mark.parametrize('loader', LOADERS)
def test_sixteen_bits_are_scaled(tmp_path, loader):
    ramp = np.tile(np.linspace(0, 65535, 120).astype(np.uint16), (60, 1))
    Image.fromarray(ramp).save(tmp_path / 'ramp.png')
    image = load(loader, tmp_path / 'ramp.png')
    assert np.array_equal(image, np.repeat((ramp >> 8).astype(np.uint8)[..., None], 3, -1))


@pytest.mark.parametrize('mode, suffix, kwargs', [
    ('L', 'png', {}), ('1', 'png', {}), ('P', 'png', {}), ('P', 'png', dict(transparency=0)),
    ('RGBA', 'png', {}), ('LA', 'png', {}), ('P', 'gif', {}), ('L', 'tiff', {}), ('1', 'tiff', {})])
def test_both_loaders_agree(tmp_path, mode, suffix, kwargs):
    """Lossless forms of the same picture, alpha and all."""
    path = tmp_path / f'x.{suffix}'
    image = Image.fromarray(noise()).convert(mode)
    if mode in ('RGBA', 'LA'):
        image.putalpha(Image.fromarray(noise(channels=1)[..., 0]))
    image.save(path, **kwargs)
    without_alpha = image.getchannel('L') if mode == 'LA' else image
    expected = np.asarray(without_alpha.convert('RGB'))[..., ::-1]
    for loader in LOADERS:
        assert np.array_equal(load(loader, path), expected), loader


@pytest.mark.parametrize('suffix', ['gif', 'webp', 'png'])
def test_first_frame_of_an_animated_file(tmp_path, suffix):
    frames = [Image.new('RGB', (16, 16), (level, level, level)) for level in (8, 200)]
    frames[0].save(tmp_path / f'x.{suffix}', save_all=True, append_images=frames[1:])
    for loader in LOADERS:
        assert np.abs(load(loader, tmp_path / f'x.{suffix}').astype(int) - 8).max() <= 2


def test_cmyk_agrees_closely(tmp_path):
    Image.fromarray(noise()).convert('CMYK').save(tmp_path / 'x.jpg', quality=95)
    detection, multilabel = (load(loader, tmp_path / 'x.jpg').astype(int) for loader in LOADERS)
    assert np.abs(detection - multilabel).mean() < 4


# Sizes.

@pytest.fixture
def turned(tmp_path):
    """60 x 120 px stored, with one corner marked, and a tag that says: turn it by 90 degrees."""
    def make(orientation: int, size=(120, 60)) -> Path:
        picture = np.zeros((size[1], size[0], 3), np.uint8)
        picture[:20, :20] = 255
        exif = Image.Exif()
        exif[0x0112] = orientation
        path = tmp_path / f'{orientation}.png'
        Image.fromarray(picture).save(path, exif=exif)
        Image.fromarray(picture).save(path.with_suffix('.jpg'), exif=exif, quality=95)
        return path.with_suffix('.jpg')
    return make


@pytest.mark.parametrize('loader', LOADERS)
@pytest.mark.parametrize('orientation', range(1, 9))
def test_boxes_lie_on_the_pixels_they_were_drawn_on(turned, loader, orientation):
    path = turned(orientation)
    shown = load(loader, path)
    swaps = orientation >= 5
    assert shown.shape == ((120, 60, 3) if swaps else (60, 120, 3))
    assert np.array_equal(load(loader, path, width=shown.shape[1], height=shown.shape[0]), shown)
    if swaps:  # annotated as stored: its boxes are those of the stored pixels
        stored = load(loader, path, width=120, height=60)
        assert stored.shape == (60, 120, 3)
        assert stored[5:15, 5:15].min() > 200 > 60 > stored[30:, 30:].max()


@pytest.mark.parametrize('loader', LOADERS)
@pytest.mark.parametrize('size', [(60, 30), (121, 60), (240, 120)])
def test_other_size_than_annotated(tmp_path, loader, size):
    path = tmp_path / 'x.png'
    Image.new('RGB', size).save(path)
    with pytest.raises(ValueError, match=f'{path}.*{size[0]} x {size[1]} pixels .*120 x 60'):
        load(loader, path, width=120, height=60)


def test_sample_of_a_data_set(tmp_path):
    import json
    images = []
    for i in range(40):
        Image.new('RGB', (64, 32)).save(tmp_path / f'{i}.png')
        images.append(dict(id=i, file_name=f'{i}.png', width=64, height=32))
    images[20].update(width=32, height=64)  # turned: the loader sees to it
    images[30]['width'] = 65
    (tmp_path / '10.png').unlink()
    (tmp_path / '2.png').write_bytes(b'x')
    (tmp_path / 'a.json').write_text(json.dumps(dict(
        images=images, categories=[dict(id=1, name='cat')], annotations=[
            dict(id=i, image_id=i, category_id=1, bbox=[1, 1, 9, 9], area=81)
            for i in range(40)])))
    dataset = DATASETS.build(dict(
        type='CheckedCocoDataset', ann_file='a.json', data_root=str(tmp_path),
        data_prefix=dict(img=''), metainfo=dict(classes=('cat', ))))
    number, problems = check_images(dataset)
    assert number == 40
    assert len(problems) == 3
    for problem, words in zip(problems, [
            ('2.png', 'no image format'), ('10.png', 'does not exist'),
            ('30.png', '64 x 32 pixels', '65 x 32')], strict=True):
        assert all(word in problem for word in words)
    assert check_images(dataset, 4) == (4, [problems[1], problems[2]])


# Harm.

@pytest.mark.reliability(
    done='an image of billions of pixels',
    happens='refused by its header, before memory is taken')
@pytest.mark.parametrize('loader', LOADERS)
def test_huge_image_costs_no_memory(tmp_path, loader):
    (tmp_path / 'x.png').write_bytes(png_header(30_000, 30_000))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match=rf'x\.png.*30000 x 30000.*max_pixels={MAX_PIXELS}'):
        load(loader, tmp_path / 'x.png')
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024  # KiB


@pytest.mark.parametrize('backend', BACKENDS)
def test_limit_is_an_option(tmp_path, backend):
    path = tmp_path / 'x.png'
    Image.fromarray(noise()).save(path)
    loader = LoadImageChecked(imdecode_backend=backend, max_pixels=24 * 32)
    assert loader(dict(img_path=str(path)))['img'].shape == (24, 32, 3)
    with pytest.raises(ValueError, match='24 x 32|32 x 24'):
        LoadImageChecked(imdecode_backend=backend, max_pixels=24 * 32 - 1)(
            dict(img_path=str(path)))
    with pytest.raises(ValueError, match='max_pixels must be positive'):
        LoadImageChecked(max_pixels=0)


def test_limit_may_be_larger_than_pillows(tmp_path):
    """Ours holds in its place; Pillow's is as before afterwards, also after an error."""
    (tmp_path / 'x.png').write_bytes(png_header(20_000, 20_000))
    before = Image.MAX_IMAGE_PIXELS
    assert read_image_size(str(tmp_path / 'x.png'), max_pixels=10**9) == (20_000, 20_000)
    with pytest.raises(ValueError, match='max_pixels'):
        read_image_size(str(tmp_path / 'x.png'))
    assert before == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize('loader', LOADERS)
def test_sparse_file_of_ten_gigabytes(tmp_path, loader):
    """Neither zeros nor an image in front of them are read."""
    for head in (b'', png_header(8, 8)):
        with open(tmp_path / 'x.png', 'wb') as file:
            file.write(head)
            file.truncate(10 * 10**9)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(ValueError, match=r'x\.png'):
            load(loader, tmp_path / 'x.png')
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024


@pytest.mark.parametrize('loader', LOADERS)
@pytest.mark.parametrize('length', [10**6, 2**31 - 1, 2**32 - 1])
def test_length_that_a_png_claims_costs_no_memory(tmp_path, loader, length):
    """OpenCV would take as much as is claimed; Pillow reads the pixels, which are all there."""
    path = tmp_path / 'x.png'
    Image.fromarray(noise(96, 96)).save(path)
    content = path.read_bytes()
    at = content.index(b'IDAT') - 4
    path.write_bytes(content[:at] + length.to_bytes(4, 'big') + content[at + 4:])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with time_limit(20):
        image = load(loader, path)
    assert np.array_equal(image, noise(96, 96)[..., ::-1])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024


@pytest.mark.reliability(
    done='an image file is cut off',
    happens='an error that names the file, not half an image')
@pytest.mark.parametrize('loader', LOADERS)
@pytest.mark.parametrize('suffix', ['jpg', 'png', 'bmp', 'gif', 'tiff', 'webp'])
@pytest.mark.parametrize('share', [.99, .7, .4])
def test_truncated_file_is_refused(tmp_path, loader, suffix, share):
    path = tmp_path / f'x.{suffix}'
    Image.fromarray(noise(96, 96)).save(path)
    content = path.read_bytes()
    path.write_bytes(content[:int(len(content) * share)])
    with pytest.raises(ValueError, match=rf'x\.{suffix}. cannot be read'):
        load(loader, path)


def test_truncated_jpeg_is_refused_whatever_opencv_makes_of_it(monkeypatch):
    """Older versions of OpenCV fill the rest with grey and say nothing."""
    file = io.BytesIO()
    Image.fromarray(noise(96, 96)).save(file, 'JPEG')
    monkeypatch.setattr(mmcv, 'imfrombytes',
                        lambda *args, **kwargs: np.zeros((96, 96, 3), np.uint8))
    assert decode_image(file.getvalue()).shape == (96, 96, 3)
    with pytest.raises(OSError, match='truncated'):
        decode_image(file.getvalue()[:-800])


@pytest.mark.parametrize('on_error', ['raise', 'skip'])
@pytest.mark.parametrize('name', ['', '.', 'a\0b.png', 'x' * 4000, 'http://x/y.png', 's3://x/y.png',
                                  'zz://x://y', '/dev/zero', '/dev/stdin', 'pipe', '\ud800.png'])
def test_what_is_no_file(tmp_path, name, on_error):
    os.mkfifo(tmp_path / 'pipe')
    path = str(tmp_path / name) if name == 'pipe' else name
    loader = LoadImageChecked(on_error=on_error)
    with time_limit(20):
        if on_error == 'skip':
            assert loader(dict(img_path=path)) is None
            assert loader.skipped == 1
        else:
            with pytest.raises((ValueError, FileNotFoundError)) as error:
                loader(dict(img_path=path))
            assert type(error.value) in (ValueError, FileNotFoundError)
            assert repr(name)[1:20].rstrip("'") in str(error.value)


@pytest.mark.reliability(
    done="images that cannot be opened, with `on_error='skip'`",
    happens='training goes on without them')
def test_training_skips_what_cannot_be_opened(tmp_path):
    """A pipe among the images neither hangs the loader nor ends the training."""
    os.mkfifo(tmp_path / 'pipe.png')
    Image.fromarray(noise()).save(tmp_path / 'good.png')
    (tmp_path / 'a.csv').write_text('img_path,cat\npipe.png,1\ngood.png,1\n')
    dataset = CustomMultiLabel(
        'a.csv', data_root=str(tmp_path), pipeline=[
            dict(type='LoadImageChecked', on_error='skip'), dict(type='PackMultiLabelInputs')])
    with time_limit(20):
        assert dataset[0]['data_samples'].img_id == 'good.png'


@pytest.mark.reliability(
    done='a transform fails on an image',
    happens='the error names the image')
def test_error_of_any_transform_names_the_image(tmp_path):
    Image.new('RGB', (1, 2000)).save(tmp_path / 'thin.png')
    (tmp_path / 'a.csv').write_text('img_path,cat\nthin.png,1\n')
    dataset = CustomMultiLabel('a.csv', data_root=str(tmp_path), pipeline=[
        dict(type='LoadImageChecked'), dict(type='Resize', scale=(128, 128), keep_ratio=True)])
    with pytest.raises(ValueError, match=r'thin\.png.*number 0 of .*a\.csv.*resize') as error:
        dataset[0]
    assert isinstance(error.value.__cause__, cv2.error)


def test_arguments_of_mmcv(tmp_path):
    path = str(tmp_path / 'x.png')
    Image.fromarray(noise()).save(path)
    for backend in BACKENDS:
        for flag in ('color', 'grayscale', 'unchanged', 'color_ignore_orientation'):
            kwargs = dict(imdecode_backend=backend, color_type=flag, to_float32=True)
            ours = LoadImageChecked(**kwargs)(dict(img_path=path))
            expected = LoadImageFromFile(**kwargs)(dict(img_path=path))
            assert np.array_equal(ours['img'], expected['img'])
            assert ours['img'].dtype == np.float32
            assert ours['ori_shape'] == ours['img_shape'] == (24, 32)
    assert LoadImageChecked(ignore_empty=True)(dict(img_path='/no/such.png')) is None
    assert 'max_pixels=5' in repr(LoadImageChecked(max_pixels=5))


def test_settings_that_are_wrong_are_named(tmp_path):
    with pytest.raises(ValueError, match="on_error must be 'raise' or 'skip', got 'ignore'"):
        LoadImageChecked(on_error='ignore')
    Image.fromarray(noise()).save(tmp_path / 'x.png')
    with pytest.raises(ValueError, match=r'x\.png.*backend: other is not supported'):
        LoadImageChecked(imdecode_backend='other')(dict(img_path=str(tmp_path / 'x.png')))


def test_size_of_an_image_behind_a_file_backend(tmp_path):
    Image.fromarray(noise(24, 32)).save(tmp_path / 'x.png')
    backend = dict(backend='CountingBackend')
    register_backend('CountingBackend', CountingBackend, force=True)
    assert read_image_size(str(tmp_path / 'x.png'), backend) == (32, 24)
    assert CountingBackend.read == [str(tmp_path / 'x.png')]


class CountingBackend(LocalBackend):
    """Files behind a backend, as those of a store are."""

    read: ClassVar[list[str]] = []

    def get(self, filepath):
        self.read.append(str(filepath))
        return super().get(filepath)


def test_more_than_sixteen_bits_are_refused(tmp_path):
    Image.fromarray(np.full((4, 4), 70_000, np.int32)).save(tmp_path / 'x.tiff')
    with pytest.raises(ValueError, match='mode I with levels beyond 16 bits is not supported'):
        decode_image((tmp_path / 'x.tiff').read_bytes(), backend='pillow')


def test_what_opencv_refuses_is_pillows(monkeypatch):
    """OpenCV has a limit of its own for pixels, and raises beyond it."""
    image = noise()
    file = io.BytesIO()
    Image.fromarray(image).save(file, 'PNG')

    def refuse(*args):
        raise cv2.error('OpenCV: CV_IO_MAX_IMAGE_PIXELS')

    monkeypatch.setattr(cv2, 'imdecode', refuse)
    assert np.array_equal(decode_image(file.getvalue(), backend='cv2'), image[..., ::-1])
