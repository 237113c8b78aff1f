"""Boxes and labels of whole images in one data set or two, annotated in part."""
import json

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import DATASETS, DefaultScope

from tresnet_mm.datasets import joint_dataset

IMAGE_CLASSES = dict(weather=('sun', 'rain'), scene=('street', 'park', 'night'))
METAINFO = dict(classes=('cat', 'dog'), image_classes=IMAGE_CLASSES)
PIPELINE = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True),
            dict(type='PackDetInputs')]


@pytest.fixture(autouse=True)
def _mmdet_scope():
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield


@pytest.fixture
def root(tmp_path):
    """Images 0 to 3 in a COCO file, the first two with a box; 4 and 5 in the tables alone."""
    (tmp_path / 'img/sub').mkdir(parents=True)
    names = [f'sub/{i}.png' for i in range(6)]
    for name in names:
        cv2.imwrite(str(tmp_path / 'img' / name), np.zeros((40, 48, 3), np.uint8))
    images = [dict(id=i, file_name=name, width=48, height=40)
              for i, name in enumerate(names[:4])]
    boxes = [dict(id=i + 1, image_id=i, category_id=i + 1, bbox=[2, 2, 9, 9], area=81, iscrowd=0)
             for i in range(2)]
    (tmp_path / 'boxes.json').write_text(json.dumps(dict(
        images=images, annotations=boxes,
        categories=[dict(id=1, name='cat'), dict(id=2, name='dog')])))
    write(tmp_path, 'weather.csv', 'img_path,labels', 'sub/0.png,rain', 'sub/./2.png,sun')
    write(tmp_path, 'scene.csv', 'img_path,street,park,night', 'sub/2.png,1,-1,0')
    write(tmp_path, 'other.csv', 'img_path,labels', 'sub/4.png,rain', 'sub/5.png,sun')
    return tmp_path


def write(root, name, *lines):
    (root / name).write_text('\n'.join(lines) + '\n')


def coco(root, pipeline=PIPELINE, **kwargs):
    cfg = dict(type='CheckedCocoDataset', ann_file='boxes.json', data_root=str(root),
               data_prefix=dict(img='img'), metainfo=METAINFO, pipeline=pipeline,
               image_labels=dict(weather='weather.csv', scene='scene.csv'))
    return ConfigDict({**cfg, **kwargs})


def labelled(root, **kwargs):
    cfg = dict(type='LabelledImages', image_labels=dict(weather='other.csv'), data_root=str(root),
               data_prefix=dict(img='img'), metainfo=METAINFO, pipeline=PIPELINE)
    return ConfigDict({**cfg, **kwargs})


def facts(dataset):
    """By image: whether its boxes are annotated, number of boxes, weather, scene."""
    result = {}
    for data in dataset:
        sample = data['data_samples']
        weather = int(sample.weather.gt_label) if 'weather' in sample else None
        scene = sample.scene.gt_labels.tolist() if 'scene' in sample else None
        result[sample.img_path.rpartition('/')[2][0]] = (
            sample.has_boxes, len(sample.gt_instances), weather, scene)
    return result


def test_labels_are_joined_by_file_name(root):
    assert facts(DATASETS.build(coco(root))) == {
        '0': (True, 1, 1, None), '1': (True, 1, None, None),
        '2': (True, 0, 0, [1, -1, 0]), '3': (True, 0, None, None)}


def test_images_without_boxes_may_be_not_annotated(root):
    """In training those are left out that have no labels either; in testing none is."""
    dataset = DATASETS.build(coco(root, boxes='some'))
    assert facts(dataset) == {'0': (True, 1, 1, None), '1': (True, 1, None, None),
                              '2': (False, 0, 0, [1, -1, 0])}
    assert len(DATASETS.build(coco(root, boxes='some', test_mode=True))) == 4
    assert facts(DATASETS.build(coco(root, boxes=False))) == {
        '0': (False, 0, 1, None), '2': (False, 0, 0, [1, -1, 0])}


def test_labelled_images_stay_where_empty_ones_are_filtered(root):
    kept = facts(DATASETS.build(coco(root, filter_cfg=dict(filter_empty_gt=True, min_size=8))))
    assert sorted(kept) == ['0', '1', '2']


def test_two_data_sets_are_one(root):
    both = DATASETS.build(dict(type='ConcatDataset', datasets=[
        coco(root, image_labels=None), labelled(root)]))
    assert both.metainfo['image_classes'] == IMAGE_CLASSES
    assert type(both.metainfo['image_classes']) is dict  # a checkpoint keeps it
    assert all('weather' not in both[i]['data_samples'] for i in range(4))
    assert facts(DATASETS.build(labelled(root))) == {
        '4': (False, 0, 1, None), '5': (False, 0, 0, None)}
    assert both.get_data_info(4)['width'] == 48


def test_how_many_are_annotated_is_told_once(root, monkeypatch):
    told = []
    monkeypatch.setattr(joint_dataset, 'print_log', lambda message, *args: told.append(message))
    DATASETS.build(coco(root, boxes='some'))
    assert told == [f"{root}/boxes.json: of 3 images 2 with annotated boxes, 2 with labels of "
                    "'weather', 1 with labels of 'scene'"]


def test_one_table_for_all_splits(root):
    table = dict(weather='all.csv')
    write(root, 'all.csv', 'img_path,labels', 'sub/0.png,rain', 'sub/4.png,sun')
    with pytest.raises(ValueError, match=r"1 of the 2 images with labels of 'weather' are not in "
                       r".*boxes.json: '.*img/sub/4.png' .*extra_labels=True"):
        DATASETS.build(coco(root, image_labels=table))
    assert facts(DATASETS.build(coco(root, image_labels=table, extra_labels=True)))['0'][2] == 1
    write(root, 'all.csv', 'img_path,labels', '0.png,rain', '4.png,sun')
    with pytest.raises(ValueError, match=r"2 of the 2 .*img/0.png'.* \(it has '.*sub/0.png'"):
        DATASETS.build(coco(root, image_labels=table, extra_labels=True))


@pytest.mark.parametrize('kwargs, message', [
    (dict(boxes='none'), "boxes should be True, False or 'some', got 'none'"),
    (dict(metainfo=dict(classes=('cat', 'dog'))), "'weather', but .* has no class list"),
    (dict(metainfo=dict(METAINFO, image_classes=dict(weather=('sun', ), scene=('park', )))),
     r"weather.csv:2: \['rain'\] not among the classes \['sun'\] of 'weather'"),
    (dict(metainfo=dict(METAINFO, image_classes=['sun'])), 'should be a dict'),
    (dict(metainfo=dict(METAINFO, image_classes=dict(weather='sun'))), 'not a tuple of names'),
    (dict(image_labels=dict(weather=3)), 'should be a file'),
    (dict(image_labels=dict(weather=dict(ann_file='weather.csv', sep=';'))), 'should be a file'),
    (dict(pipeline=[*PIPELINE[:2], dict(type='Mosaic'), PIPELINE[2]]), 'Mosaic mixes images'),
])
def test_wrong_settings(root, kwargs, message):
    with pytest.raises(ValueError, match=message):
        DATASETS.build(coco(root, **kwargs))


def test_a_name_that_leaves_the_folder_is_refused(root):
    write(root, 'weather.csv', 'img_path,labels', '../boxes.json,sun')
    with pytest.raises(ValueError, match='weather.csv:2: file name .* leaves the image folder'):
        DATASETS.build(coco(root))


def test_pipelines_that_drop_images_without_boxes_are_told(root):
    dropping = [*PIPELINE[:2], dict(type='RandomCrop', crop_size=(20, 20)), PIPELINE[2]]
    dataset = DATASETS.build(labelled(root, pipeline=dropping))
    with pytest.raises(ValueError, match='has no annotated boxes, and a transform leaves such'):
        dataset[0]
    with pytest.raises(ValueError, match='must end with PackDetInputs'):
        DATASETS.build(labelled(root, pipeline=PIPELINE[:2]))[0]


def test_an_image_whose_boxes_are_filtered_out_is_drawn_anew(root):
    """Of None mmdet draws another image; only one without annotated boxes could never be used."""
    large = [*PIPELINE[:2], dict(type='FilterAnnotations', min_gt_bbox_wh=(20, 20)), PIPELINE[2]]
    assert DATASETS.build(coco(root, pipeline=large)).prepare_data(0) is None


def test_labelled_images_needs_tables_and_images(root):
    with pytest.raises(ValueError, match='name a label table'):
        DATASETS.build(labelled(root, image_labels={}))
    write(root, 'other.csv', 'img_path,labels')
    with pytest.raises(ValueError, match='no image is listed'):
        DATASETS.build(labelled(root))
    write(root, 'other.csv', 'img_path,labels', 'sub/9.png,sun')
    with pytest.raises(FileNotFoundError, match='9.png'):
        DATASETS.build(labelled(root))


@pytest.mark.parametrize('ratio', [[3, 1], [1, 1]])
def test_batches_at_a_set_ratio(root, ratio):
    """By mmdet's sampler: every batch of four has images of both."""
    from mmdet.datasets.samplers import MultiSourceSampler
    both = DATASETS.build(dict(type='ConcatDataset', datasets=[coco(root), labelled(root)]))
    sampler = iter(MultiSourceSampler(both, batch_size=4, source_ratio=ratio, seed=0))
    for _ in range(5):
        kinds = [both[next(sampler)]['data_samples'].has_boxes for _ in range(4)]
        assert sum(kinds) == 4 * ratio[0] // sum(ratio)


def test_a_sample_goes_through_the_data_preprocessor(root):
    from mmengine.dataset import pseudo_collate
    from mmengine.registry import MODELS
    data = pseudo_collate([DATASETS.build(coco(root))[i] for i in (0, 2)])
    preprocessor = MODELS.build(dict(type='DetDataPreprocessor', pad_size_divisor=32))
    samples = preprocessor(data, training=True)['data_samples']
    assert samples[1].scene.gt_labels.dtype == torch.float32 and samples[0].has_boxes
