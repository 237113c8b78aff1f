"""Objects whose segmentation has no area: there, but of no known shape."""

import json

import pytest
from mmengine.registry import DATASETS, init_default_scope

import tresnet_mm  # noqa: F401  # registers it

LINE = [[1, 1, 5, 5]]  # two points
TRIANGLE = [[2, 2, 12, 2, 12, 12]]


@pytest.fixture
def coco(tmp_path):
    init_default_scope('mmdet')
    box = dict(image_id=0, category_id=1, iscrowd=0, area=100)
    (tmp_path / 'a.json').write_text(json.dumps(dict(
        images=[dict(id=0, file_name='0.png', width=48, height=40)],
        annotations=[dict(box, id=1, bbox=[2, 2, 10, 10], segmentation=TRIANGLE),
                     dict(box, id=2, bbox=[20, 5, 6, 8], segmentation=LINE)],
        categories=[dict(id=1, name='cat')])))
    return dict(type='CheckedCocoDataset', ann_file='a.json', data_root=str(tmp_path),
                data_prefix=dict(img=''), metainfo=dict(classes=('cat',)))


def masks(dataset) -> list[tuple[int, list]]:
    return [(instance['ignore_flag'], instance['mask'])
            for instance in dataset.get_data_info(0)['instances']]


def test_where_masks_are_learnt_its_box_is_a_region_to_ignore(coco):
    dataset = DATASETS.build(dict(coco, pipeline=[dict(
        type='mmdet.LoadAnnotations', with_bbox=True, with_mask=True)]))
    assert masks(dataset) == [(0, TRIANGLE), (1, [[20, 5, 26, 5, 26, 13, 20, 13]])]
    assert dataset.dropped == {'without an area in their segmentation': 1}


def test_where_boxes_are_learnt_it_is_an_object_as_any(coco):
    dataset = DATASETS.build(dict(coco, pipeline=[dict(
        type='mmdet.LoadAnnotations', with_bbox=True)]))
    assert masks(dataset) == [(0, TRIANGLE), (0, LINE)]
    assert not dataset.dropped
