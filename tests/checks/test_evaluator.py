"""The annotation file of a COCO metric against the datasets that it judges."""

import json

import pytest
from mmdet.evaluation import CocoMetric
from mmengine.config import ConfigDict

from tresnet_mm import preflight


def two_datasets(cfg, second):
    first = cfg.val_dataloader.dataset
    cfg.val_dataloader.dataset = ConfigDict(type='ConcatDataset', datasets=[
        first, dict(first, ann_file=f'annotations/instances_{second}.json')])
    return cfg


@pytest.mark.parametrize('task', ['train', 'test'])
def test_a_file_that_is_not_there(own, problems, task):
    key = 'val_evaluator.ann_file' if task == 'train' else 'test_evaluator.ann_file'
    found = problems(own(options={key: 'nowhere/val.json'}), task=task)[key]
    assert 'nowhere/val.json does not exist' in found.what and 'instances_val.json' in found.right


def test_a_file_of_other_images(own, problems, coco_file):
    path = coco_file('other', first_id=1001)
    found = problems(own(options={'val_evaluator.ann_file': str(path)}))['val_evaluator.ann_file']
    assert 'lacks 8 of the 8 images' in found.what and 'instances_val.json' in found.what
    assert found.value == str(path)


def test_the_training_file_of_the_same_image_ids(own, problems, root):
    path = str(root / 'annotations/instances_train.json')
    found = problems(own(options={'test_evaluator.ann_file': path}), task='test')
    assert '32 objects' in found['test_evaluator.ann_file'].what


def test_other_file_names_under_the_same_ids(own, problems, root):
    content = json.loads((root / 'annotations/instances_val.json').read_text())
    for image in content['images']:
        image['file_name'] = 'other_' + image['file_name']
    path = root / 'renamed.json'
    path.write_text(json.dumps(content))
    found = problems(own(options={'val_evaluator.ann_file': str(path)}))['val_evaluator.ann_file']
    assert 'other_0.png' in found.what


def test_a_copy_of_the_file_is_the_same(own, problems, root):
    path = root / 'copy.json'
    path.write_text((root / 'annotations/instances_val.json').read_text())
    assert problems(own(options={'val_evaluator.ann_file': str(path)})) == {}


def test_a_part_of_the_data_set(own, problems):
    cfg = own(options={'val_dataloader.dataset.indices': 3})
    assert problems(cfg) == {}, 'a look at a few images may be meant'
    assert 'counts as missed' in problems(cfg, severity='note')['val_evaluator.ann_file'].what


def test_a_file_of_more_images(own, problems, coco_file):
    path = coco_file('more', number=12, shift=3)
    found = problems(own(options={'val_evaluator.ann_file': str(path)}))['val_evaluator.ann_file']
    assert '4 of its 12 images' in found.what


def test_a_metric_without_a_file_takes_the_datasets(own, problems):
    assert problems(own(options={'val_evaluator.ann_file': None})) == {}


def test_a_remote_file_is_named(own, problems):
    cfg = own(options={'val_evaluator.ann_file': 's3://bucket/val.json'})
    assert problems(cfg) == {}
    assert list(problems(cfg, severity='not made')) == ['val_evaluator.ann_file']


@pytest.mark.parametrize('file', [None, 'val'])
def test_joined_datasets_whose_image_ids_collide(own, problems, root, file):
    cfg = two_datasets(own(), 'train')
    cfg.val_evaluator.ann_file = file and str(root / 'annotations/instances_val.json')
    found = problems(cfg)['val_dataloader.dataset']
    assert '8 image ids stand in both' in found.what


def test_joined_datasets_are_right_with_a_file_of_all(own, problems, root, coco_file):
    coco_file('more', first_id=101)
    cfg = two_datasets(own(), 'more')
    found = problems(cfg)['val_evaluator.ann_file']
    assert 'lacks 8 of the 16 images' in found.what
    both = json.loads((root / 'annotations/instances_val.json').read_text())
    more = json.loads((root / 'annotations/instances_more.json').read_text())
    both['images'] += more['images']
    both['annotations'] += [dict(a, id=a['id'] + 100) for a in more['annotations']]
    (root / 'both.json').write_text(json.dumps(both))
    cfg.val_evaluator.ann_file = str(root / 'both.json')
    assert problems(cfg) == {}


def test_images_that_are_evaluated_twice(own, problems):
    cfg = own()
    cfg.val_dataloader.dataset = ConfigDict(
        type='RepeatDataset', times=2, dataset=cfg.val_dataloader.dataset)
    assert '2 times' in problems(cfg)['val_dataloader.dataset'].what


def test_one_file_that_is_evaluated_twice(own, problems):
    cfg = two_datasets(own(), 'val')
    assert problems(cfg)['val_dataloader.dataset'].what.endswith('_val.json is evaluated twice')


def test_a_data_set_that_cannot_be_read_is_told_alone(own, problems):
    found = problems(two_datasets(own(), 'nowhere'))
    assert list(found) == ['val_dataloader.dataset.datasets.1.ann_file']


@pytest.mark.parametrize('kind', ['CocoMetric', CocoMetric])
def test_a_file_that_is_none_of_cocos_is_told_once(own, root, kind):
    path = root / 'broken.json'
    path.write_text('[]')
    cfg = own(options={'val_evaluator.ann_file': str(path)})
    cfg.val_evaluator.type = kind
    [found] = preflight(cfg)
    assert found.where == 'val_evaluator.ann_file' and found.what.startswith(
        f'{path}: not a COCO file')


def test_a_file_that_lacks_a_class(own, root, problems):
    """The same images and objects: all cats, and no dog that might be found."""
    path = root / 'annotations/instances_val.json'
    content = json.loads(path.read_text())
    for annotation in content['annotations']:
        annotation['category_id'] = 1
    path.write_text(json.dumps(content))
    other = root / 'cats.json'
    other.write_text(json.dumps({**content, 'categories': content['categories'][:1]}))
    found = problems(own(options={'val_evaluator.ann_file': str(other)}))
    assert found['val_evaluator.ann_file'].what == 'lacks the classes dog of val_dataloader'


@pytest.mark.parametrize('classes', [('cat', 'dog'), ('dog', 'cat')])
def test_mmdets_own_metric_takes_the_order_of_its_file(own, problems, classes):
    cfg = own(classes=classes)
    cfg.val_evaluator.type = CocoMetric
    found = problems(cfg)
    assert list(found) == ([] if classes == ('cat', 'dog') else ['val_evaluator.type'])


def test_images_without_objects_are_judged_by_a_file_that_has_them(own, root, problems):
    """As the list of COCO's test images, and an own file of their truth."""
    path = root / 'annotations/instances_val.json'
    content = json.loads(path.read_text())
    (root / 'truth.json').write_text(json.dumps(content))
    path.write_text(json.dumps({**content, 'annotations': []}))
    found = problems(own(options={'val_evaluator.ann_file': str(root / 'truth.json')}))
    assert 'val_evaluator.ann_file' not in found


def test_one_of_several_metrics(own, problems):
    cfg = own('multitask_fcos_tresnet_tiny_shapes')
    cfg.val_evaluator[0].ann_file = 'nowhere.json'
    assert list(problems(cfg)) == ['val_evaluator.0.ann_file']
