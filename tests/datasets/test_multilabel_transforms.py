"""Loading, resizing, cutting out, augmenting and packing images for multi-label models."""

from pathlib import Path

import mmcv
import numpy as np
import pytest
import torch
from mmcv.transforms import Resize
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from PIL import Image

from tresnet_mm.datasets import (
    ColorCutout,
    CustomMultiLabel,
    LoadImageChecked,
    PackMultiLabelInputs,
)
from tresnet_mm.datasets.labels_to_scores import LabelsToScores

SIZE = dict(scale=(32, 24), keep_ratio=False, backend='pillow')


@pytest.fixture
def photo(tmp_path) -> Path:
    """A JPEG with detail, so that filters differ."""
    rng = np.random.default_rng(0)
    path = tmp_path / 'photo.jpg'
    Image.fromarray(rng.integers(0, 256, (97, 131, 3), dtype=np.uint8)).save(path, quality=95)
    return path


def test_load_and_squish_equal_pillow_to_the_bit(photo):
    results = Resize(**SIZE)(LoadImageChecked()(dict(img_path=str(photo))))
    expected = Image.open(photo).convert('RGB').resize((32, 24), Image.Resampling.BILINEAR)
    assert np.array_equal(results['img'][..., ::-1], np.asarray(expected))
    assert results['ori_shape'] == (97, 131)
    opencv = mmcv.imresize(mmcv.imread(str(photo)), (32, 24), backend='cv2')
    assert not np.array_equal(results['img'], opencv)  # which is why Pillow is asked for


@pytest.mark.parametrize('mode', ['L', 'RGBA', 'P', 'CMYK'])
def test_other_colour_modes_become_three_channels(tmp_path, mode):
    path = tmp_path / ('x.jpg' if mode == 'CMYK' else 'x.png')
    Image.new(mode, (6, 5)).save(path)
    assert LoadImageChecked()(dict(img_path=str(path)))['img'].shape == (5, 6, 3)


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:path.stat().st_size // 2])


BAD_IMAGES = {
    'missing': (Path.unlink, FileNotFoundError, 'does not exist'),
    'empty': (lambda path: path.write_bytes(b''), ValueError, 'cannot be read: the file is empty'),
    'text': (lambda path: path.write_text('hello'), ValueError, 'it is in no image format'),
    'truncated': (_truncate, ValueError, 'cannot be read: .*truncated'),
}


@pytest.mark.parametrize('kind', BAD_IMAGES)
def test_bad_image_is_named(photo, kind):
    damage, error, message = BAD_IMAGES[kind]
    damage(photo)
    with pytest.raises(error, match=message) as raised:
        LoadImageChecked()(dict(img_path=str(photo)))
    assert str(photo) in str(raised.value)


@pytest.mark.parametrize('kind', BAD_IMAGES)
def test_training_goes_on_with_a_counted_warning(photo, kind, monkeypatch):
    said = []
    monkeypatch.setattr(
        'tresnet_mm.datasets.load_image_checked.print_log',
        lambda message, *args: said.append(message))
    good = photo.with_name('good.jpg')
    Image.new('RGB', (9, 9), 'red').save(good)
    BAD_IMAGES[kind][0](photo)
    lines = 'img_path,labels\nphoto.jpg,cat\ngood.jpg,dog\n'
    (photo.parent / 'list.csv').write_text(lines)
    pipeline = [dict(type='LoadImageChecked', on_error='skip'), dict(type='PackMultiLabelInputs')]
    kwargs = dict(
        ann_file='list.csv', data_root=str(photo.parent), pipeline=pipeline, serialize_data=True)
    dataset = CustomMultiLabel(**kwargs)
    for _ in range(3):
        assert dataset[0]['data_samples'].img_id == 'good.jpg'
    counts = [int(message.split('skipped, ')[1].split()[0]) for message in said]
    assert counts == list(range(1, len(said) + 1))
    assert len(said) >= 3
    assert all('photo.jpg' in message for message in said)
    with pytest.raises(Exception, match='None'):  # a test image cannot be exchanged for another
        CustomMultiLabel(test_mode=True, **kwargs)[0]


def test_cutout_paints_one_square():
    img = np.full((40, 60, 3), 7, np.uint8)
    colors = set()
    for _ in range(50):
        out = ColorCutout(0.5)(dict(img=img))['img']
        changed = (out != 7).any(-1)
        if not changed.any():
            continue  # the drawn colour is the image's: possible, not seen with this seed
        rows, cols = np.where(changed.any(1))[0], np.where(changed.any(0))[0]
        box = out[rows[0]:rows[-1] + 1, cols[0]:cols[-1] + 1].reshape(-1, 3)
        assert (box == box[0]).all()
        colors.add(tuple(box[0]))
        # Half of each side, less only where it reaches over the border.
        assert len(rows) == 20 or rows[0] == 0 or rows[-1] == 39
        assert len(cols) == 30 or cols[0] == 0 or cols[-1] == 59
        assert 10 <= len(rows) <= 20
        assert 15 <= len(cols) <= 30
    assert (img == 7).all()
    assert len(colors) > 40


def test_cutout_probability_and_seed():
    img = np.zeros((16, 16, 3), np.uint8)
    assert ColorCutout(prob=0.0)(dict(img=img))['img'] is img
    hits = sum(ColorCutout(prob=0.3)(dict(img=img))['img'] is not img for _ in range(1000))
    assert 240 < hits < 360
    np.random.seed(3)
    first = ColorCutout()(dict(img=img))['img']
    np.random.seed(3)
    assert np.array_equal(first, ColorCutout()(dict(img=img))['img'])


@pytest.mark.parametrize('kwargs', [dict(factor=0.0), dict(factor=1.5), dict(prob=2.0)])
def test_cutout_arguments(kwargs):
    with pytest.raises(ValueError, match=f'{next(iter(kwargs))} must be in'):
        ColorCutout(**kwargs)


def test_pack():
    img = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    packed = PackMultiLabelInputs()(dict(
        img=img, num_classes=5, gt_labels=[1, 3], unknown_labels=[0], img_path='a.jpg',
        img_shape=(2, 3), flip=True))  # fmt: skip
    assert packed['inputs'].dtype == torch.uint8
    assert torch.equal(packed['inputs'], torch.from_numpy(img).permute(2, 0, 1))
    sample = packed['data_samples']
    assert sample.gt_labels.tolist() == [-1, 1, 0, 1, 0]
    assert sample.gt_labels.dtype == torch.float32
    assert set(sample.metainfo_keys()) == {'img_path', 'img_shape', 'flip'}
    assert 'gt_labels' not in PackMultiLabelInputs()(dict(img=img))['data_samples']
    assert PackMultiLabelInputs()(dict(img=img[..., 0]))['inputs'].shape == (1, 2, 3)


def test_flip_goes_into_the_sample():
    img = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    pipeline = Compose([dict(type='RandomFlip', prob=1.0), PackMultiLabelInputs()])
    packed = pipeline(dict(img=img, img_shape=(2, 3)))
    assert torch.equal(packed['inputs'].flip(-1), torch.from_numpy(img).permute(2, 0, 1))
    assert packed['data_samples'].flip is True


def test_pipelines_of_the_recipe(repo_root, photo):
    """Each operation of the training pipeline changes the image and keeps its form."""
    init_default_scope('mmdet')
    cfg = Config.fromfile(repo_root / 'configs/_base_/datasets/coco_multilabel_224.py')
    record = dict(img_path=str(photo), img_id=1, gt_labels=[2], num_classes=3)
    train, test = Compose(cfg.train_pipeline), Compose(cfg.test_pipeline)
    plain = test(dict(record))
    assert plain['inputs'].shape == (3, 224, 224)
    assert plain['data_samples'].gt_labels.tolist() == [0, 0, 1]
    views = [train(dict(record)) for _ in range(12)]
    assert all(view['inputs'].shape == (3, 224, 224) for view in views)
    assert all(view['inputs'].dtype == torch.uint8 for view in views)
    assert len({view['inputs'].numpy().tobytes() for view in views}) == 12
    for (operation,) in cfg.rand_augment_space:
        img = np.random.randint(60, 180, (32, 32, 3), dtype=np.uint8)
        strong = Compose([dict(operation, prob=1.0)])
        outs = [strong(dict(img=img.copy(), img_shape=(32, 32)))['img'] for _ in range(8)]
        assert all(out.shape == img.shape and out.dtype == np.uint8 for out in outs)
        assert any(not np.array_equal(out, img) for out in outs), operation


def test_labels_become_the_scores_that_mmpretrain_packs():
    transform = LabelsToScores()
    record = transform(dict(gt_labels=[2], unknown_labels=[0], num_classes=4))
    assert record['gt_score'].tolist() == [-1, 0, 1, 0]
    assert repr(transform) == 'LabelsToScores()'
