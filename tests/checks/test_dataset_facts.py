"""What is known of data sets of other forms than COCO's boxes."""

import json

import pytest
from mmdet.datasets import CocoDataset
from mmdet.registry import DATASETS
from mmengine.config import ConfigDict
from mmengine.dataset import BaseDataset

from tests.checks.test_image_heads import joint  # noqa: F401
from tresnet_mm.checks import Subject
from tresnet_mm.datasets.annotations import coco_file


def facts_of(cfg, **dataset):
    if dataset:
        cfg.train_dataloader.dataset = ConfigDict(dataset)
    [facts] = Subject(cfg).loader('train').datasets
    return facts


@pytest.fixture
def registered():
    """Register a class for the time of a test."""
    names = []

    def register(kind):
        DATASETS.register_module(module=kind)
        names.append(kind.__name__)

    yield register
    for name in names:
        del DATASETS.module_dict[name]


def test_boxes_that_are_not_asked_for_are_neither_counted_nor_left_out(joint, root):  # noqa: F811
    path = root / 'annotations/instances_train.json'
    content = json.loads(path.read_text())
    content['annotations'][0]['iscrowd'], content['annotations'][1]['area'] = 1, 0
    path.write_text(json.dumps(content))
    counted = facts_of(joint())
    assert counted.crowds == 1 and sum(counted.left_out.values()) == 1
    facts = facts_of(joint({'train_dataloader.dataset.boxes': False}))
    assert (facts.crowds, dict(facts.left_out), facts.problems) == (0, {}, [])
    assert [sorted(labels) for labels in facts.image_labels.values()] == [
        ['scene', 'weather'], ['weather'], ['scene']]


def test_a_data_set_that_is_none_of_mmengines_is_not_asked(own, registered):
    class Foreign:
        METAINFO = dict(classes=('cat', 'dog'))

        def __init__(self, **kwargs):
            raise AssertionError('it is not built')

    registered(Foreign)
    facts = facts_of(own(), type='Foreign')
    assert facts.size is None and facts.classes == ('cat', 'dog')
    [problem] = facts.problems
    assert problem.severity == 'not made' and problem.what.startswith(
        'Foreign is no BaseDataset of mmengine')


def test_records_of_pixels_without_ids_and_with_labels_of_no_class(own, registered):
    class Pixels(BaseDataset):
        METAINFO = dict(classes=('cat', 'dog'))

        def load_data_list(self):
            return [dict(img=0, gt_labels=[1]), dict(img_path='b.png', gt_labels=[0, 1, 2]),
                    dict(img=0, img_path='c.png', gt_labels=['cat'])]

    registered(Pixels)
    facts = facts_of(own(), type='Pixels', pipeline=[dict(type='LoadImageFromFile')])
    assert facts.problems == [] and facts.size == 3 and facts.ids == set()
    assert facts.objects == dict(cat=1, dog=2)
    assert facts.image_files == ['b.png']


@pytest.mark.parametrize('kind, held', [
    ('CheckedCocoDataset', True), ('CocoMultiLabel', True), (CocoDataset, False),
    ('DeepFashionDataset', False)])
def test_what_the_data_set_of_the_run_will_not_take_over_is_not_held(own, kind, held):
    cfg = own()
    cfg.train_dataloader.dataset.type = kind
    [facts] = Subject(cfg, keep=True).loader('train').datasets
    assert facts.coco is not None
    assert bool(coco_file._kept) is held
