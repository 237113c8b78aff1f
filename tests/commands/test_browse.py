"""``tresnet-mm browse``: what is drawn is what the model gets."""

import shlex
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.model import BaseDataPreprocessor, ImgDataPreprocessor
from mmengine.structures import InstanceData

from tests.commands.test_examples import examples
from tresnet_mm.__main__ import main
from tresnet_mm.commands import browse
from tresnet_mm.commands.browse import Given, boxes_are_unscaled, undo_normalisation
from tresnet_mm.config_files import read_config
from tresnet_mm.datasets.shapes import ShapesSpec, make_shapes


@pytest.fixture(scope='module')
def shapes(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('browse')
    make_shapes(folder / 'data/shapes', ShapesSpec(num_train=20, num_val=3, size=64))
    return folder


@pytest.fixture()
def here(shapes, monkeypatch, tmp_path) -> Path:
    monkeypatch.setenv('SHAPES_ROOT', str(shapes / 'data/shapes'))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(name: str, **changes) -> Config:
    cfg = read_config(name)
    cfg.merge_from_dict(changes)
    return cfg


def test_pictures_are_those_of_the_files_augmented(here, shapes):
    """Twice as large and some mirrored, as the config has it; boxes go with them."""
    given = Given(load('fcos_tresnet_tiny_shapes'))
    mirrored = 0
    for image, sample in given:
        source = cv2.imread(sample.img_path)[..., ::-1]
        expected = cv2.resize(source, (128, 128), interpolation=cv2.INTER_LINEAR)
        if sample.flip:
            expected, mirrored = expected[:, ::-1], mirrored + 1
        assert np.abs(image.astype(int) - expected.astype(int)).max() <= 1
        record = given.dataset.get_data_info(sample.sample_idx) if 'sample_idx' in sample else next(
            info for info in map(given.dataset.get_data_info, range(len(given.dataset)))
            if info['img_path'] == sample.img_path)
        boxes = 2 * np.array([instance['bbox'] for instance in record['instances']])
        if sample.flip:
            boxes[:, [0, 2]] = 128 - boxes[:, [2, 0]]
        np.testing.assert_allclose(sample.gt_instances.bboxes.numpy(), boxes, atol=1e-3)
    assert 0 < mirrored < len(given.dataset)


def test_boxes_of_testing_are_brought_to_the_pixels_of_the_image(here):
    cfg = load('fcos_tresnet_tiny_shapes')
    assert boxes_are_unscaled(cfg.val_dataloader.dataset)
    assert not boxes_are_unscaled(cfg.train_dataloader.dataset)
    for image, sample in Given(cfg, 'val'):
        assert image.shape == (128, 128, 3)
        given = sample.gt_instances.bboxes.numpy()
        record = next(info for info in Given(cfg, 'val').dataset
                      if info['data_samples'].img_path == sample.img_path)
        original = record['data_samples'].gt_instances.bboxes.tensor.numpy()
        np.testing.assert_allclose(given, 2 * original)


def test_a_joint_model_is_given_labels_too(here):
    for _, sample in Given(load('multitask_fcos_tresnet_tiny_shapes')):
        classes = set(sample.gt_instances.labels.tolist())
        assert set(np.flatnonzero(sample.gt_labels.numpy())) == classes


def test_labels_that_nobody_gave_are_not_drawn(here):
    given = Given(load('multitask_fcos_tresnet_tiny_shapes'))
    sample = DetDataSample(gt_instances=InstanceData(labels=torch.tensor([1]),
                                                     bboxes=torch.ones(1, 4)))
    assert given._as_given(sample).gt_labels.tolist() == [0, 1, 0, 0, 0, 0]
    assert 'gt_labels' not in given._as_given(DetDataSample())


def test_mixup_is_shown(here, monkeypatch):
    cfg = load('multilabel_tresnet_tiny_shapes', **{
        'train_dataloader.batch_size': 4,
        'train_dataloader.collate_fn': dict(type='mixup_collate', alpha=5.0)})
    given = list(Given(cfg))
    labels = torch.stack([sample.gt_labels for _, sample in given])
    assert ((labels > 0) & (labels < 1)).any()
    seen = {}
    monkeypatch.setattr('tresnet_mm.visualization.truth.draw_label_scores',
                        lambda image, scores, *rest, **more: seen.update(scores=scores, **more))
    browse.draw_truth(*given[0], {})
    np.testing.assert_array_equal(seen['scores'], given[0][1].gt_labels)
    assert set(np.flatnonzero(seen['predicted'])) == set(np.flatnonzero(given[0][1].gt_labels > 0))


def test_a_seed_gives_the_same_pictures(here):
    cfg = load('multilabel_tresnet_tiny_shapes', **{'train_dataloader.batch_size': 5})
    first, again, other = (
        [(sample.img_path, image) for image, sample in Given(cfg, seed=seed)] for seed in (3, 3, 4))
    for (path, image), (same_path, same) in zip(first, again, strict=True):
        assert path == same_path
        np.testing.assert_array_equal(image, same)
    assert [path for path, _ in first] != [path for path, _ in other]


@pytest.mark.parametrize('settings', [
    dict(mean=[0, 0, 0], std=[255, 255, 255], bgr_to_rgb=True),
    dict(mean=[123.675, 116.28, 103.53], std=[58.4, 57.1, 57.4], bgr_to_rgb=True),
    dict(mean=[103.53, 116.28, 123.675], std=[57.4, 57.1, 58.4]), dict(), dict(bgr_to_rgb=True)])
def test_normalisation_is_undone(settings):
    pixels = torch.randint(0, 256, (2, 3, 40, 48), dtype=torch.uint8)
    preprocessor = ImgDataPreprocessor(**settings, pad_size_divisor=32)
    images = undo_normalisation(preprocessor(dict(inputs=list(pixels)))['inputs'], preprocessor)
    for image, given in zip(images, pixels, strict=True):
        assert image.shape == (64, 64, 3)
        np.testing.assert_array_equal(image[:40, :48], given.flip(0).permute(1, 2, 0))


@pytest.mark.parametrize('line', examples('browse'))
def test_the_examples_of_the_help(line, here, shapes, coco_tiny, repo_root, monkeypatch,
                                  capsys):
    arguments = shlex.split(line)[1:]
    monkeypatch.setenv('COCO_ROOT', str(coco_tiny))
    monkeypatch.setenv('COCO_YEAR', '2017')
    (here / 'my_config.py').write_text(
        f"_base_ = '{repo_root}/configs/multitask_fcos_tresnet_tiny_shapes.py'\n")
    assert main(arguments) is None
    said = capsys.readouterr().out
    if '--out-dir' in arguments:
        assert len(list((here / 'pictures').glob('000?_*.jpg'))) == 3
        assert said.startswith('3 of 3 images of val_dataloader, 128 x 128 pixels ')
        return
    out = arguments[arguments.index('--out') + 1] if '--out' in arguments else 'browse.png'
    assert said.endswith(f': {out}\n')
    rows = 6 if '24' in arguments else 3
    picture = cv2.imread(str(here / out))
    assert picture.std() > 1 and picture.shape[0] > rows * 360


@pytest.mark.parametrize(('arguments', 'message'), [
    (['fcos_tresnet_tiny_shapes', '--number', '0'], '--number must be at least 1, got 0'),
    (['fcos_tresnet_tiny_shapes', '--out', 'b.xyz'], '--out b.xyz has the suffix of no picture'),
    (['fcos_tresnet_tiny_shapes', '--cfg-options', 'train_dataloader.dataset.ann_file=no.json'],
     'no.json of train_dataloader does not exist'),
    (['fcos_tresnet_tiny_shapes', '--split', 'test', '--cfg-options', 'test_dataloader=None'],
     'has no test_dataloader'),
    (['multilabel_tresnet_tiny_shapes'],
     'train_dataloader gives no batch: 20 images, batch_size 32, drop_last True')])
def test_a_mistake_is_one_line(arguments, message, here, capsys):
    with pytest.raises(SystemExit) as stop:
        main(['browse', *arguments])
    assert message in str(stop.value.code) + capsys.readouterr().err
    assert not list(here.iterdir())


def test_a_preprocessor_without_images_is_named(here, monkeypatch):
    given = Given(load('multilabel_tresnet_tiny_shapes'), 'val')
    given.model.data_preprocessor = BaseDataPreprocessor()
    with pytest.raises(ValueError, match='BaseDataPreprocessor gives no batch of images'):
        next(iter(given))
