"""Configs that are written can be read, and say why they are as they are."""

import dataclasses
import re
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

from tests.preparation.test_choices import BLOOD
from tresnet_mm.preparation.choices import ARCHS, TASKS
from tresnet_mm.preparation.config_writer import ConfigPlan, config_text

PLAN = ConfigPlan('detection', 'tiny', ('cell', 'plate'), BLOOD, ('train', 'val', 'test'),
                  Path('/data/pictures'))


def written(folder, text):
    """The config as mmengine reads it in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'config.py').write_text(text, encoding='utf-8')
    return Config.fromfile(folder / 'config.py')


@pytest.mark.parametrize('arch', ARCHS)
@pytest.mark.parametrize('task', TASKS)
def test_the_model_has_the_classes_of_the_data(task, arch, tmp_path):
    plan = dataclasses.replace(PLAN, task=task, arch=arch, pretrained=False)
    cfg = written(tmp_path, config_text(plan))
    assert cfg.train_dataloader.dataset.metainfo.classes == ('cell', 'plate')
    assert Path(cfg.train_dataloader.dataset.data_root) == tmp_path
    assert cfg.train_dataloader.dataset.data_prefix.img == '/data/pictures/'
    if arch == 'tiny':
        with DefaultScope.overwrite_default_scope('mmdet'):
            model = MODELS.build(cfg.model)
        heads = [getattr(model, name) for name in ('bbox_head', 'image_head', 'head')
                 if getattr(model, name, None) is not None]
        assert heads and all(head.num_classes == 2 for head in heads)


@pytest.mark.parametrize('arch', ARCHS)
@pytest.mark.parametrize('task', TASKS)
def test_every_line_is_short_and_every_value_of_the_data_has_a_reason(task, arch):
    text = config_text(dataclasses.replace(PLAN, task=task, arch=arch))
    assert max(map(len, text.splitlines())) <= 100
    comments = ' '.join(re.sub('^# ', '', line) for line in text.splitlines()
                        if line.startswith('#'))
    for reason in ('2 classes', '205 training images', '480 px', 'mirrored images',
                   'steps an epoch', 'are shown', 'evaluations', 'the peak'):
        assert reason in comments, reason


def test_published_weights_are_the_base_s_and_scratch_has_none(tmp_path):
    for task, part in (('detection', 'model'), ('both', 'detector'), ('multi-label', 'model'),
                       ('single-label', 'model')):
        plan = dataclasses.replace(PLAN, task=task, arch='m')
        pretrained = written(tmp_path / 'a', config_text(plan)).model
        scratch = written(tmp_path / 'b', config_text(
            dataclasses.replace(plan, pretrained=False))).model
        pretrained, scratch = pretrained.get(part, pretrained), scratch.get(part, scratch)
        assert pretrained.backbone.init_cfg.checkpoint.startswith('tresnet://m_in21k')
        assert scratch.backbone.init_cfg is None and scratch.backbone.frozen_stages == -1


@pytest.mark.parametrize('arch', ARCHS)
@pytest.mark.parametrize('task', ['multi-label', 'single-label'])
def test_views_are_of_the_images_as_they_are_tested(task, arch, tmp_path):
    """In size and labels; mirrored only where classes stay what they are."""
    for classes, flips in ((('cell', 'plate'), [0.0, 1.0]), (('left hand', 'right hand'), [0.0])):
        plan = dataclasses.replace(PLAN, task=task, arch=arch, classes=classes)
        cfg = written(tmp_path, config_text(plan))
        *steps, pack = cfg.test_dataloader.dataset.pipeline
        assert cfg.tta_pipeline == [*steps, dict(type='TestTimeAug', transforms=[
            [dict(type='RandomFlip', prob=prob) for prob in flips], [pack]])]
        assert cfg.tta_model.type == 'MultiLabelTTAModel'


def test_the_image_folder_may_move(tmp_path, monkeypatch):
    monkeypatch.setenv('IMAGE_ROOT', '/elsewhere')
    cfg = written(tmp_path, config_text(PLAN))
    assert cfg.train_dataloader.dataset.data_prefix.img == '/elsewhere/'


@pytest.mark.parametrize('root', ['/my pictures/a', '/it\'s/"here"', '/a{{b}}', '/größe/ü'])
def test_any_path_of_images(root, tmp_path):
    plan = dataclasses.replace(PLAN, image_root=Path(root))
    assert written(tmp_path, config_text(plan)).image_root == root + '/'


def test_copied_images_are_found_beside_the_config(tmp_path):
    plan = dataclasses.replace(PLAN, image_root=None)
    for folder in ('a', 'moved here'):
        cfg = written(tmp_path / folder, config_text(plan))
        assert Path(cfg.image_root) == tmp_path / folder / 'images'


@pytest.mark.parametrize('classes', [
    ("a'b", '"c"', 'd\\e'), ('{{ fileDirname }}', '{{$HOME:x}}', '{{_base_.model}}'),
    ('größe', '猫'), ('one',), tuple(f'class number {i}' for i in range(200))])
def test_any_class_name(classes, tmp_path):
    text = config_text(dataclasses.replace(PLAN, classes=classes))
    assert written(tmp_path, text).train_dataloader.dataset.metainfo.classes == classes
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize('field, value', [('task', 'segmentation'), ('arch', 'xxl')])
def test_an_unknown_task_or_arch_is_named(field, value):
    with pytest.raises(ValueError, match=value):
        dataclasses.replace(PLAN, **{field: value})
