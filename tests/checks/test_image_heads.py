"""Named image heads are held against class lists, label tables and metrics."""
import mmdet.datasets
import pytest

from tresnet_mm.checks import Subject, classes, image_heads

CLASSES = dict(weather=('sun', 'rain'), scene=('street', 'park', 'night'))


def told(cfg):
    subject = Subject(cfg)
    return {problem.where: problem for check in (
        classes.check_datasets, image_heads.check_image_heads, image_heads.check_single_labels,
        image_heads.check_fields) for problem in check(subject)}


def table(root, name, *rows):
    (root / name).write_text('\n'.join(['img_path,labels', *rows]) + '\n')


@pytest.fixture
def joint(own, root):
    """The demo's joint config with two named heads: ``joint({dotted key: value})``."""
    def make(options=None):
        table(root, 'weather.csv', '0.png,rain', '1.png,sun')
        table(root, 'scene.csv', '0.png,park;night', '2.png,')
        cfg = own('multitask_fcos_tresnet_tiny_shapes')
        cfg.merge_from_dict({'model.image_heads': dict(
            weather=dict(type='SingleLabelHead', num_classes=2),
            scene=dict(type='MultiLabelLinearHead', num_classes=3))})
        for split in ('train', 'val', 'test'):
            tables = dict(weather='weather.csv', scene='scene.csv')
            cfg.merge_from_dict({
                f'{split}_dataloader.dataset.image_labels': tables,
                f'{split}_dataloader.dataset.metainfo.image_classes': CLASSES})
        cfg.val_evaluator += [
            dict(type='SingleLabelMetric', field='weather'),
            dict(type='MultiLabelMetric', field='scene', thresholds=[0.5, 0.4, 0.3])]
        cfg.merge_from_dict(options or {})
        return cfg
    return make


def test_a_sound_config_has_no_problem(joint, problems):
    assert problems(joint()) == {}


@pytest.mark.parametrize('options, where, what', [
    ({'model.image_heads.scene.num_classes': 4}, 'model.image_heads.scene.num_classes',
     "3 classes of 'scene' (street, park, night)"),
    ({'model.image_heads.quality': dict(type='SingleLabelHead', num_classes=2)},
     'model.image_heads.quality', "no data set has a class list of 'quality'"),
    ({'train_dataloader.dataset.image_labels': dict(_delete_=True, weather='weather.csv')},
     'model.image_heads.scene', "no training data set has labels of 'scene'"),
    ({'val_dataloader.dataset.metainfo.image_classes': dict(CLASSES, weather=('rain', 'sun'))},
     'val_dataloader.dataset.metainfo.image_classes.weather', 'train_dataloader.dataset has sun'),
    ({'val_evaluator.2.field': 'wether'}, 'val_evaluator.2.field', 'no image head of this name'),
    ({'val_evaluator.3.field': 'weather'}, 'val_evaluator.3.type',
     'does not measure what SingleLabelHead predicts'),
    ({'model.image_head': None}, 'val_evaluator.1.field', 'named heads alone'),
    ({'train_dataloader.dataset.image_labels.weather': 'scene.csv',
      'train_dataloader.dataset.metainfo.image_classes.weather': CLASSES['scene']},
     'train_dataloader.dataset.image_labels.weather', '2 images have not exactly one label'),
    ({'train_dataloader.dataset.image_labels.weather': 'none.csv'},
     'train_dataloader.dataset.type', 'none.csv'),
])
def test_what_does_not_agree_is_told(joint, options, where, what):
    found = told(joint(options))
    assert where in found, found
    assert what in found[where].what


def test_images_that_do_not_join_are_told(joint, root):
    cfg = joint()
    table(root, 'weather.csv', 'x/0.png,rain', '1.png,sun')
    found = told(cfg)['train_dataloader.dataset.type']
    assert "1 of the 2 images with labels of 'weather' are not in" in found.what


@pytest.mark.parametrize('kind', [mmdet.datasets.CocoDataset, 'CityscapesDataset'])
@pytest.mark.parametrize('name', ['image_labels', 'boxes'])
def test_a_data_set_of_boxes_alone_is_told_which_one_takes_labels(joint, name, kind):
    """mmdet's own class; by its name a config gets CheckedCocoDataset."""
    cfg = joint()
    cfg.train_dataloader.dataset.type = kind
    cfg.train_dataloader.dataset.boxes = 'some'
    if name == 'boxes':
        cfg.train_dataloader.dataset.pop('image_labels')
    found = told(cfg)['train_dataloader.dataset.type']
    named = kind if isinstance(kind, str) else 'CocoDataset'
    assert found.what == f"mmdet's {named} takes no {name}"
    assert found.value == named and found.right.startswith('CheckedCocoDataset')
