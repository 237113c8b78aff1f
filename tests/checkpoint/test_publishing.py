"""What a config becomes in a published file: its classes by name, and the parts that it needs."""

import hashlib

import pytest
import torch
from mmdet.models.detectors import FCOS as MMDET_FCOS
from mmengine.registry import MODELS, Registry

import tresnet_mm  # noqa: F401  # registers
from tresnet_mm.checkpoint import read_file, read_published
from tresnet_mm.checkpoint.plain_config import MODEL_REGISTRIES
from tresnet_mm.checkpoint.publishing import describe, plain, write_published

PIPELINE = [dict(type='LoadImageFromFile')]
DETECTOR = dict(type='FCOS', backbone=dict(type='mmdet.ResNet', depth=50),
                bbox_head=dict(type='FCOSHead', num_classes=2, in_channels=256))
LABELS = dict(type='MultiLabelClassifier', backbone=dict(type='TResNet'),
              head=dict(type='MultiLabelLinearHead', num_classes=2))
META = dict(classes=('cat', 'dog'))


def config(model=DETECTOR, **more):
    return dict(model=model, **(more or dict(
        test_dataloader=dict(dataset=dict(pipeline=PIPELINE)))))


class FCOS:
    """Called as mmdet's, and another."""


@pytest.fixture
def house():
    """A registry of somebody's own, in which FCOS is another class than mmdet's."""
    registry = Registry('model', parent=MODELS, scope='house')
    registry.register_module(module=FCOS)
    yield registry
    del MODELS.children['house']


@pytest.mark.parametrize('kind, name', [
    ('FCOS', 'FCOS'), ('mmdet.FCOS', 'mmdet.FCOS'), (MMDET_FCOS, 'FCOS'),
    ('mmdet.models.detectors.fcos.FCOS', 'FCOS'), ('mmdet.models.detectors.FCOS', 'FCOS'),
    ('mmdet.models.necks.FCOS', 'mmdet.models.necks.FCOS'),  # is not there
    ('mmdet.models.detectors.Nothing', 'mmdet.models.detectors.Nothing'),
    (FCOS, f'{__name__}.FCOS'), (torch.nn.Sequential, 'torch.nn.modules.container.Sequential'),
    ('Nothing', 'Nothing'),
])
def test_types_are_named_as_readers_find_them(kind, name):
    assert plain(dict(type=kind), MODEL_REGISTRIES, 'mmdet') == dict(type=name)


def test_a_class_of_the_configs_own_scope_keeps_that_scope(house):
    """Readers look in mmdet's, where its name is another class."""
    assert plain(dict(type='FCOS'), MODEL_REGISTRIES, 'house') == dict(type='house.FCOS')
    assert plain(dict(type='FCOSHead'), MODEL_REGISTRIES, 'house') == dict(type='FCOSHead')
    said = describe(config(default_scope='house', test_dataloader=dict(
        dataset=dict(pipeline=PIPELINE))), META)
    assert said.model['type'] == 'house.FCOS'
    # that scope has no transforms: mmengine's is meant, and mmdet has another of the name
    assert said.test_pipeline == [dict(type='mmengine.LoadImageFromFile')]


@pytest.mark.parametrize('loaders', [
    dict(test_dataloader=dict(dataset=dict(pipeline=PIPELINE))),
    dict(val_dataloader=dict(dataset=dict(pipeline=PIPELINE))),
    dict(test_dataloader=dict(dataset=dict(type='ConcatDataset', datasets=[
        dict(type='A'), dict(type='B', pipeline=PIPELINE)])))])
def test_the_pipeline_is_that_of_the_first_data_set_with_one(loaders):
    assert describe(config(**loaders), META).test_pipeline == PIPELINE


@pytest.mark.parametrize('cfg, words', [
    ({}, 'the config has no model'), (dict(model='FCOS'), 'the config has no model'),
    (config(test_dataloader=None), 'the config has no test_dataloader with a pipeline'),
    (config(test_dataloader=dict(dataset=dict(datasets=[dict(type='A')]))),
     'the config has no test_dataloader with a pipeline'),
])
def test_a_config_without_its_parts(cfg, words):
    with pytest.raises(ValueError, match=words):
        describe(cfg, META)


def test_thresholds_are_of_an_image_level_head():
    said = describe(config(LABELS), META, [0.25, 1])
    assert said.thresholds == said.model['head']['thresholds'] == [0.25, 1]
    assert 'thresholds' not in LABELS['head']
    with pytest.raises(ValueError, match='thresholds for labels, but the model has no image-level'):
        describe(config(), META, [0.25, 1])


def test_weights_that_do_not_say_their_norm(tmp_path):
    """Those of a backbone of another package: nothing is said of it."""
    path, said = tmp_path / 'a.safetensors', describe(config(), META)
    weights = {'backbone.conv1.weight': torch.arange(4.)}
    assert write_published(path, said, weights) == hashlib.sha256(path.read_bytes()).hexdigest()
    assert path.stat().st_mode & 0o777 == 0o644
    assert read_published(path) == said
    content = read_file(path)
    assert content['meta'] == dict(dataset_meta=dict(classes=['cat', 'dog']))
    assert torch.equal(content['state_dict']['backbone.conv1.weight'], torch.arange(4.))
