"""Number and names of classes, wherever they are said twice."""

import json

import pytest
from mmdet.datasets import CocoDataset
from mmdet.evaluation import CocoMetric
from mmengine.config import Config

import tresnet_mm

CONFIGS = ['fcos_tresnet_tiny_shapes', 'multilabel_tresnet_tiny_shapes',
           'multitask_fcos_tresnet_tiny_shapes']


@pytest.mark.parametrize('task', ['train', 'test'])
@pytest.mark.parametrize('name', CONFIGS)
def test_what_agrees_gives_no_problem(own, name, task):
    assert tresnet_mm.preflight(own(name), task=task) == []


@pytest.mark.parametrize('number', [1, 3])
@pytest.mark.parametrize(('name', 'key'), [
    ('fcos_tresnet_tiny_shapes', 'model.bbox_head.num_classes'),
    ('multilabel_tresnet_tiny_shapes', 'model.head.num_classes')])
def test_a_head_of_another_number(own, problems, name, key, number):
    found = problems(own(name, {key: number}))
    assert list(found) == [key]
    assert found[key].value == number and found[key].right == '2'
    assert 'cat, dog' in found[key].what


def test_every_head_of_a_joint_model(own, problems):
    keys = ['model.detector.bbox_head.num_classes', 'model.image_head.num_classes']
    found = problems(own('multitask_fcos_tresnet_tiny_shapes', dict.fromkeys(keys, 3)))
    assert list(found) == keys


@pytest.mark.parametrize(('name', 'keys'), [
    ('mask_rcnn_tresnet_m', ['roi_head.bbox_head', 'roi_head.mask_head']),
    ('cascade_rcnn_tresnet_m', [f'roi_head.bbox_head.{i}' for i in range(3)]),
    ('retinanet_tresnet_m', ['bbox_head'])])
def test_heads_in_lists_and_of_roi_models(repo_root, own, problems, name, keys):
    cfg = own()
    cfg.model = Config.fromfile(repo_root / f'configs/{name}.py').model
    found = problems(cfg)
    assert list(found) == [f'model.{key}.num_classes' for key in keys]
    assert all((p.value, p.right) == (80, '2') for p in found.values())


def test_a_number_left_at_its_default(own, problems, repo_root):
    cfg = own()
    cfg.model = Config.fromfile(repo_root / 'configs/faster_rcnn_tresnet_m.py').model
    del cfg.model.roi_head.bbox_head['num_classes']
    found = problems(cfg)
    assert found['model.roi_head.bbox_head.num_classes'].value == 80


def test_region_proposals_know_no_classes(own, problems, repo_root):
    cfg = own()
    cfg.model = Config.fromfile(repo_root / 'configs/faster_rcnn_tresnet_m.py').model
    cfg.model.roi_head.bbox_head.num_classes = 2
    cfg.model.rpn_head.num_classes = 1
    assert problems(cfg) == {}


@pytest.mark.parametrize('kind', ['CocoDataset', 'CheckedCocoDataset'])
def test_a_name_that_the_file_lacks(own, problems, kind):
    cfg = own(options={'train_dataloader.dataset.type': kind,
                       'train_dataloader.dataset.metainfo.classes': ('cta', 'dog')})
    found = problems(cfg)['train_dataloader.dataset.metainfo.classes']
    assert 'cta' in found.what and 'instances_train.json' in found.what
    assert 'cat, dog' in found.right


def test_coco_names_on_other_data(own, problems):
    cfg = own()
    for split in ('train', 'val'):
        cfg[f'{split}_dataloader'].dataset.pop('metainfo')
    found = problems(cfg)
    assert 'by itself' in found['train_dataloader.dataset.metainfo.classes'].what
    assert found['model.bbox_head.num_classes'].right == '80'


def test_another_order_of_the_file_is_right_where_labels_go_by_name(own, problems, root):
    path = root / 'annotations/instances_val.json'
    content = json.loads(path.read_text())
    content['categories'].reverse()
    path.write_text(json.dumps(content))
    for kind in ('CheckedCocoDataset', 'CocoDataset'):
        assert problems(own(options={'val_dataloader.dataset.type': kind})) == {}
    cfg = own()
    cfg.val_dataloader.dataset.type, cfg.val_evaluator.type = CocoDataset, CocoMetric
    found = problems(cfg)
    assert found['val_dataloader.dataset.type'].right == 'CheckedCocoDataset'
    assert found['val_evaluator.type'].right == 'CheckedCocoMetric'


def test_splits_of_other_classes_or_another_order(own, problems, coco_file):
    key = 'val_dataloader.dataset.metainfo.classes'
    found = problems(own(options={key: ('dog', 'cat')}))
    assert 'in another order' in found[key].what and "('cat', 'dog')" in found[key].right
    coco_file('val', classes=3)
    found = problems(own(options={key: ('cat', 'dog', 'hen')}))
    assert list(found) == [key] and '3 classes' in found[key].what


def test_classes_of_a_file_without_metainfo_are_compared_too(own, problems, root):
    cfg = own('multilabel_tresnet_tiny_shapes')
    for split in ('train', 'val'):
        cfg[f'{split}_dataloader'].dataset.pop('metainfo')
    assert problems(cfg) == {}
    path = root / 'annotations/instances_val.json'
    content = json.loads(path.read_text())
    content['categories'].reverse()
    path.write_text(json.dumps(content))
    assert 'in another order' in problems(cfg)['val_dataloader.dataset.metainfo.classes'].what


@pytest.mark.parametrize(('metainfo', 'what', 'right'), [
    (dict(classes='uav'), 'comma', "('uav',)"),
    (dict(classes=('cat', 'cat')), 'twice: cat', 'once'),
    (dict(classes=('cat', 3)), 'names', 'strings'),
])
def test_a_list_of_classes_that_is_none(own, problems, metainfo, what, right):
    cfg = own()
    cfg.train_dataloader.dataset.metainfo = metainfo
    found = problems(cfg)['train_dataloader.dataset.metainfo.classes']
    assert what in found.what and right in found.right


def test_a_file_of_class_names_is_a_list_of_classes(own, problems, root):
    names = root / 'names.txt'
    names.write_text('cat\ndog\n')
    cfg = own(options={'train_dataloader.dataset.metainfo.classes': str(names)})
    assert problems(cfg) == {}


def test_the_old_name_of_the_setting(own, problems):
    cfg = own()
    cfg.train_dataloader.dataset.metainfo = dict(CLASSES=('cat', 'dog'))
    found = problems(cfg)['train_dataloader.dataset.metainfo.CLASSES']
    assert 'classes' in found.right


def test_thresholds_of_other_classes(own, problems):
    cfg = own('multilabel_tresnet_tiny_shapes', {'val_evaluator.thresholds': [0.5, 0.4, 0.3]})
    assert 'for 2 classes' in problems(cfg)['val_evaluator.thresholds'].what
    cfg.val_evaluator.thresholds = [0.5, 0.4]
    assert problems(cfg) == {}


def test_a_missing_file_names_the_variable(repo_root, problems, monkeypatch, tmp_path):
    monkeypatch.setenv('COCO_ROOT', str(tmp_path))
    found = problems(Config.fromfile(repo_root / 'configs/fcos_tresnet_m.py'))
    missing = found['train_dataloader.dataset.ann_file']
    assert 'does not exist: set COCO_ROOT' in missing.what
    assert 'val_dataloader.dataset.ann_file' in found, 'all are told, not the first'


def test_a_remote_file_is_named_as_not_read(own, problems):
    cfg = own(options={'train_dataloader.dataset.ann_file': 'https://example.org/a.json'})
    found = problems(cfg, severity='not made')
    assert list(found) == ['train_dataloader.dataset.ann_file']
    assert problems(cfg) == {}


@pytest.mark.parametrize(('text', 'said'), [
    ('{', 'not a JSON'), ('[]', 'not a COCO'),
    ('{"images": [], "categories": [{"id": 1}]}', "'name'"),
    ('{"images": [{"id": 1, "file_name": "a"}], "categories": []}', "'width'")])
def test_a_file_that_is_no_coco_file(own, problems, root, text, said):
    (root / 'annotations/instances_train.json').write_text(text)
    found = problems(own())['train_dataloader.dataset.ann_file']
    assert said in found.what and 'instances_train.json' in found.what


def test_a_table_of_labels(own, problems, root):
    (root / 'train.csv').write_text('img_path,cat,dog\na.png,1,0\nb.png,0,1\n')
    for name in 'ab':
        (root / f'train/{name}.png').touch()
    options = {'train_dataloader.dataset.type': 'CustomMultiLabel',
               'train_dataloader.dataset.ann_file': 'train.csv',
               'train_dataloader.batch_size': 2}
    cfg = own('multilabel_tresnet_tiny_shapes', options)
    cfg.train_dataloader.dataset.pop('metainfo')
    assert problems(cfg) == {}
    (root / 'train.csv').write_text('img_path,cat,dog,hen\na.png,1,0,0\nb.png,0,1,1\n')
    assert 'train_dataloader.dataset has 3' in str(problems(cfg)['model.head.num_classes'])


def test_an_unknown_kind_of_dataset(own, problems):
    found = problems(own(options={'train_dataloader.dataset.type': 'NoSuchDataset'}))
    assert found['train_dataloader.dataset.type'].value == 'NoSuchDataset'


def test_classes_given_as_types(own, problems):
    from tresnet_mm.datasets import CheckedCocoDataset
    cfg = own(options={'model.bbox_head.num_classes': 3})
    cfg.train_dataloader.dataset.type = CheckedCocoDataset
    assert list(problems(cfg)) == ['model.bbox_head.num_classes']


@pytest.mark.parametrize('wrap', [
    lambda d: dict(type='RepeatDataset', times=2, dataset=d),
    lambda d: dict(type='ConcatDataset', datasets=[d, d]),
    lambda d: dict(type='ClassBalancedDataset', oversample_thr=0.1, dataset=d)])
def test_wrapped_datasets(own, problems, wrap):
    cfg = own(options={'model.bbox_head.num_classes': 3})
    cfg.train_dataloader.dataset = wrap(cfg.train_dataloader.dataset)
    found = problems(cfg)
    assert list(found) == ['model.bbox_head.num_classes']
    assert 'train_dataloader.dataset.dataset' in found['model.bbox_head.num_classes'].what
