"""Data sets and metrics share a COCO file: labels are places in classes, nothing is changed."""

import json

import pytest

from tests.datasets.annotations.test_coco_file import COCO, write
from tresnet_mm.datasets import CheckedCocoDataset, CocoMultiLabel
from tresnet_mm.datasets.annotations import read_coco


@pytest.mark.parametrize('classes, order', [
    (('dog', 'cat', 'hen'), (0, 1, 2)), (('hen', 'dog', 'cat'), (1, 0, 2))])
def test_labels_are_places_in_classes(tmp_path, classes, order):
    """In both data sets, whatever the order of the file's categories."""
    coco = dict(COCO, categories=[COCO['categories'][i] for i in order])
    kwargs = dict(ann_file=write(tmp_path, coco), metainfo=dict(classes=classes),
                  data_prefix=dict(img=''))
    boxes = CheckedCocoDataset(**kwargs).get_data_info(0)['instances']
    assert [classes[box['bbox_label']] for box in boxes] == ['hen', 'dog']
    labels = CocoMultiLabel(**kwargs).get_data_info(0)['gt_labels']
    assert {classes[label] for label in labels} == {'hen', 'dog'}


def test_users_change_nothing_that_is_shared(tmp_path):
    """Data sets and metrics work on copies."""
    from mmdet.registry import METRICS
    path = write(tmp_path, COCO)
    held = read_coco(path)
    before = json.dumps([held.images, held.annotations, held.categories])
    CheckedCocoDataset(ann_file=path, metainfo=dict(classes=('cat', 'dog', 'hen')),
                       data_prefix=dict(img=''))
    CocoMultiLabel(ann_file=path)
    METRICS.build(dict(type='CocoMetric', ann_file=path))
    assert json.dumps([held.images, held.annotations, held.categories]) == before
