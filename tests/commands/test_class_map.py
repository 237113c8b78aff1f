"""``tresnet-mm class-map``: a picture a class, class names, and wrong arguments."""

from pathlib import Path
from types import SimpleNamespace

import mmcv
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from tresnet_mm.commands import class_map

CLASSES = ('circle', 'square', 'triangle', 'star')
CONFIG = """
default_scope = 'mmdet'
custom_imports = dict(imports=['tresnet_mm'])
model = dict(
    type='MultiLabelClassifier',
    backbone=dict(
        type='TResNet', out_indices=(3, ),
        arch=dict(depths=(1, 1, 1, 1), width=0.125, blocks=('basic', 'basic', 'basic', 'basic'))),
    head=dict(type='MultiLabelLinearHead', num_classes=4))
test_dataloader = dict(dataset=dict(
    type='CocoMultiLabel', ann_file='not_here.json', data_prefix=dict(img=''),
    pipeline=[dict(type='LoadImageChecked'), dict(type='LoadAnnotations'),
              dict(type='PackMultiLabelInputs')]))
"""


@pytest.fixture(scope='module')
def trained(tmp_path_factory) -> tuple[Path, Path]:
    """Config and checkpoint of a small model, which knows its classes."""
    folder = tmp_path_factory.mktemp('trained')
    config, checkpoint = folder / 'config.py', folder / 'model.pth'
    config.write_text(CONFIG)
    init_default_scope('mmdet')
    model = MODELS.build(Config.fromfile(config).model)
    torch.save(dict(state_dict=model.state_dict(), meta=dict(dataset_meta=dict(classes=CLASSES))),
               checkpoint)
    return config, checkpoint


@pytest.fixture
def images(tmp_path) -> Path:
    folder = tmp_path / 'images'
    for name, size in (('a.png', (64, 96)), ('b.jpg', (96, 64))):
        image = np.random.default_rng(0).integers(0, 255, (*size, 3)).astype(np.uint8)
        mmcv.imwrite(image, str(folder / name))
    return folder


def test_a_picture_for_each_class_of_each_image(trained, images, tmp_path):
    class_map.main([str(images), *map(str, trained), '--out-dir', str(tmp_path / 'out'),
                    '--classes', 'star', '0'])
    names = {path.name for path in (tmp_path / 'out').iterdir()}
    assert names == {f'{image}.{name}.png' for image in 'ab'
                     for name in ('star', 'circle')}
    height, width = mmcv.imread(str(tmp_path / 'out/a.star.png')).shape[:2]
    assert width == 2 * 320 and height > 320 * 64 / 96  # the image and its map, with the caption


def test_the_three_highest_scores_and_numbers_for_names(trained, images, tmp_path, capsys):
    """Neither the checkpoint nor the data, which is not there, knows the classes' names."""
    config, checkpoint = trained
    nameless = tmp_path / 'nameless.pth'
    torch.save(dict(state_dict=torch.load(checkpoint, weights_only=True)['state_dict']), nameless)
    class_map.main([str(images / 'a.png'), str(config), str(nameless), '--out-dir',
                    str(tmp_path / 'out')])
    lines = [line for line in capsys.readouterr().out.splitlines() if '.png: ' in line]
    scores = [float(line.split()[-1]) for line in lines]
    assert len(scores) == 3 and scores == sorted(scores, reverse=True)
    assert all(line.split()[-2] in '0123' for line in lines)


@pytest.mark.parametrize('name, options, message', [
    ('a.png', ['--classes', 'heart'], '--classes heart: the model has the 4 classes circle, squ'),
    ('nowhere', [], ".*nowhere' does not exist"),
    ('empty', [], '.*empty'),
    ('c.png', [], r"image '.*c\.png' cannot be read"),
    ('a.png', ['--cfg-options', 'model.head.num_classes=5'], '.*4 classes'),
])
def test_wrong_arguments_are_one_line(trained, images, tmp_path, name, options, message):
    (images / 'c.png').write_bytes(b'no image')
    (images / 'empty').mkdir()
    with pytest.raises(SystemExit, match=f'^class-map: error: {message}'):
        class_map.main([str(images / name), *map(str, trained), '--out-dir', str(tmp_path / 'out'),
                        *options])


def test_names_of_files():
    taken: set[str] = set()
    assert [class_map.free_name(name, taken) for name in ('a.sports ball', 'a.sports/ball', 'b')] \
        == ['a.sports_ball.png', 'a.sports_ball_2.png', 'b.png']


def test_a_detector_has_no_class_maps(trained, images, tmp_path, monkeypatch):
    monkeypatch.setattr(class_map, 'Inferencer', lambda *args: SimpleNamespace(
        model=torch.nn.Linear(2, 2), classes=CLASSES,
        source=SimpleNamespace(cfg=Config(dict(model=dict(type='Linear'))))))
    with pytest.raises(SystemExit, match='has a Linear, which has no image-level head'):
        class_map.main([str(images), *map(str, trained), '--out-dir', str(tmp_path / 'out')])
