"""What the classes of heads are called where weights and config say little, or too much."""

import pytest
from mmengine.config import Config

from tresnet_mm.inference.class_names import dataset_meta
from tresnet_mm.inference.model_source import ModelSource

NAMED = dict(type='MultiTaskDetector', detector=dict(bbox_head=dict(num_classes=2)),
             image_heads=dict(scene=dict(num_classes=3), weather=dict(num_classes=2)))


def found(model, **meta):
    return dataset_meta(ModelSource(Config(dict(model=model)), 'a.pth', 'a.pth'),
                        dict(meta=dict(dataset_meta=meta)), None)


def test_named_heads_that_nobody_names_are_numbered():
    meta = found(NAMED, classes=['cat', 'dog'], image_classes=dict(weather=['sun', 'rain']))
    assert meta['classes'] == ('cat', 'dog')
    assert meta['image_classes'] == dict(scene=('0', '1', '2'), weather=('sun', 'rain'))


def test_as_many_names_as_a_named_head_has_classes():
    with pytest.raises(ValueError, match=r"a\.pth names 3 classes of 'weather', but "
                                         r'model\.image_heads\.weather\.num_classes = 2'):
        found(NAMED, classes=['cat', 'dog'], image_classes=dict(weather=['sun', 'rain', 'fog']))


def test_without_heads_and_names_there_is_nothing_to_number():
    with pytest.raises(ValueError, match=r'neither a\.pth nor the config says what the classes'):
        found(dict(type='Mine'))
    assert found(dict(type='Mine'), classes=['cat'])['classes'] == ('cat',)
