"""COCO's instance files as image labels: the protocol's rules, real files, broken files."""

import copy
import json
import os
import pickle
import random
from pathlib import Path

import pytest

from tresnet_mm.datasets import CocoMultiLabel

COCO = dict(
    images=[dict(id=i, file_name=f'{i}.jpg', height=8, width=8) for i in (7, 3, 9, 5)],
    categories=[  # ids with gaps and out of order: the order of the file counts
        dict(id=90, name='toothbrush'), dict(id=1, name='person'), dict(id=13, name='stop sign')],
    annotations=[
        dict(id=1, image_id=7, category_id=13, iscrowd=0, area=10.0),
        dict(id=2, image_id=7, category_id=90, iscrowd=0, area=10.0),
        dict(id=3, image_id=7, category_id=13, iscrowd=0, area=10.0),
        dict(id=4, image_id=3, category_id=1, iscrowd=1, area=10.0),  # a crowd is a label
        dict(id=5, image_id=9, category_id=1, iscrowd=0, area=0.0),  # so is a speck
    ],
)  # fmt: skip


def build(folder: Path, coco: dict, **kwargs) -> CocoMultiLabel:
    (folder / 'instances.json').write_text(json.dumps(coco))
    return CocoMultiLabel(
        'instances.json', data_root=str(folder), data_prefix=dict(img='train2014/'), **kwargs)


def labels_of(dataset: CocoMultiLabel) -> dict:
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    return {info['img_id']: info['gt_labels'] for info in infos}


@pytest.mark.parametrize('test_mode', [False, True])
def test_protocol(tmp_path, test_mode):
    dataset = build(tmp_path, COCO, test_mode=test_mode)
    assert dataset.metainfo['classes'] == ('toothbrush', 'person', 'stop sign')
    assert labels_of(dataset) == {7: [0, 2], 3: [1], 9: [1]}  # 5 has no annotation: left out
    info = dataset.get_data_info(0)
    assert info['img_path'] == str(tmp_path / 'train2014' / '7.jpg')
    assert info['num_classes'] == 3
    assert dataset.get_cat_ids(0) == [0, 2]


def test_keep_empty(tmp_path):
    assert labels_of(build(tmp_path, COCO, keep_empty=True))[5] == []


def test_chosen_classes(tmp_path):
    dataset = build(tmp_path, COCO, metainfo=dict(classes=('person', 'toothbrush')))
    assert labels_of(dataset) == {7: [1], 3: [0], 9: [0]}
    with pytest.raises(ValueError, match=r"class 'cat' \(1 of 2 classes\) is not among the 3 cat"):
        build(tmp_path, COCO, metainfo=dict(classes=('person', 'cat')))


def _append(part, entry):
    def change(coco):
        coco[part].append(entry)
    return change


BROKEN = {
    'unknown category': (
        _append('annotations', dict(id=6, image_id=7, category_id=2)),
        r'annotation 6 has category_id 2, which is not among the 3 categories'),
    'unknown image': (
        _append('annotations', dict(id=6, image_id=8, category_id=1)),
        r'annotation 6 has image_id 8, which is not among the 4 images'),
    'no category': (
        _append('annotations', dict(id=6, image_id=7)), "6 of image 7 has no 'category_id'"),
    'image twice': (
        _append('images', dict(id=9, file_name='x.jpg')),
        r'image id\(s\) are not unique, first \[9\]'),
    'category twice': (
        _append('categories', dict(id=1, name='cat')),
        r"category id\(s\) .* first \[1\] \('person' and 'cat'\)"),
    'name twice': (
        _append('categories', dict(id=2, name='person')),
        r"repeated: \['person'\] \(ids 1 and 2\)"),
    'no categories': (lambda coco: coco.pop('categories'), r"no list of 'categories'"),
    'no annotations': (lambda coco: coco['annotations'].clear(), 'no image with a label'),
    'file of images alone': (
        lambda coco: coco.pop('annotations'),
        r"not a COCO instance file, it lacks \['annotations'\]"),
}


@pytest.mark.parametrize('name', BROKEN)
def test_broken_file_is_named(tmp_path, name):
    change, message = BROKEN[name]
    coco = copy.deepcopy(COCO)
    change(coco)
    with pytest.raises(ValueError, match=message) as error:
        build(tmp_path, coco)
    assert 'instances.json' in str(error.value)


def test_not_json(tmp_path):
    (tmp_path / 'a.json').write_text('{"images": [')
    with pytest.raises(ValueError, match=r'a\.json: not a JSON file'):
        CocoMultiLabel(str(tmp_path / 'a.json'))


def test_wrong_prefix(tmp_path):
    with pytest.raises(ValueError, match='data_prefix'):
        CocoMultiLabel('a.json', data_prefix=dict(img_path='train2014/'))


@pytest.mark.parametrize('split, images', [('train', 80), ('val', 80)])
def test_real_file_agrees_with_pycocotools(coco_tiny, split, images):
    coco_api = pytest.importorskip('pycocotools.coco')
    ann_file = coco_tiny / f'annotations/instances_{split}2017.json'
    dataset = CocoMultiLabel(str(ann_file), data_prefix=dict(img=str(coco_tiny / f'{split}2017')))
    api = coco_api.COCO(str(ann_file))
    names = {c['id']: c['name'] for c in api.loadCats(api.getCatIds())}
    assert len(dataset.classes) == 80
    assert len(dataset) == images
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        expected = {names[a['category_id']] for a in api.imgToAnns[info['img_id']]}
        assert {dataset.classes[label] for label in info['gt_labels']} == expected
        assert os.path.exists(info['img_path'])


def test_records_are_shared_not_copied(tmp_path):
    """A loader process gets two arrays, and no list of Python objects that it would copy."""
    dataset = build(tmp_path, COCO)
    assert dataset.serialize_data
    assert dataset.data_list == []
    assert len(dataset.data_address) == 3
    assert len(pickle.dumps(dataset)) < dataset.data_bytes.nbytes + 4000


def test_scanning_visits_each_annotation_once(tmp_path):
    """36,000 annotations: linear work, counted by how often the label table is looked up."""
    rng = random.Random(0)
    coco = dict(
        images=[dict(id=i, file_name=f'{i}.jpg') for i in range(5000)],
        categories=[dict(id=c, name=str(c)) for c in range(80)],
        annotations=[
            dict(id=i, image_id=rng.randrange(5000), category_id=rng.randrange(80))
            for i in range(36000)])

    class Counting(dict):
        lookups = 0

        def __getitem__(self, key):
            Counting.lookups += 1
            return super().__getitem__(key)

    class Watched(CocoMultiLabel):
        def _label_of_category(self, categories):
            return Counting(super()._label_of_category(categories))

    (tmp_path / 'a.json').write_text(json.dumps(coco))
    dataset = Watched(str(tmp_path / 'a.json'))
    assert Counting.lookups == 36000
    assert len(dataset) == len({a['image_id'] for a in coco['annotations']})


@pytest.mark.parametrize('split, images', [('train', 82081), ('val', 40137)])
def test_image_counts_of_coco_2014(split, images):
    root = Path(os.environ.get('COCO_ROOT', 'data/coco'))
    ann_file = root / f'annotations/instances_{split}2014.json'
    if not ann_file.exists():
        pytest.skip(f'{ann_file} is not there: set COCO_ROOT to a folder with COCO 2014')
    dataset = CocoMultiLabel(str(ann_file))
    assert len(dataset) == images
    assert len(dataset.classes) == 80
