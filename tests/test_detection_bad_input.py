"""Faulty COCO files: the run goes on as mmdet defines it, or one error says why it does not."""

import copy
import json
import logging
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.datasets import CocoDataset
from mmengine.registry import DATASETS, init_default_scope

import tresnet_mm

SIDE = 64
POLYGON = [[5, 5, 25, 5, 25, 25, 5, 25]]
RLE = dict(size=[SIDE, SIDE], counts=[0, 300, SIDE * SIDE - 300])


def annotation(**changes) -> dict:
    return {**dict(id=2, image_id=1, category_id=1, bbox=[5, 5, 20, 20], area=400, iscrowd=0,
                   segmentation=POLYGON), **changes}


def coco_file(*annotations: dict) -> dict:
    """Two images of two categories; the first image has one sound object and ``annotations``."""
    return dict(
        images=[dict(id=1, file_name='1.png', width=SIDE, height=SIDE),
                dict(id=2, file_name='2.png', width=SIDE, height=SIDE)],
        categories=[dict(id=1, name='cat'), dict(id=3, name='dog')],
        annotations=[annotation(id=1, bbox=[30, 30, 20, 10], area=200,
                                segmentation=[[30, 30, 50, 30, 50, 40, 30, 40]]), *annotations])


def write(folder: Path, data: dict) -> str:
    """Write the images and the annotation file; NaN becomes JSON's (invalid) NaN."""
    import mmcv
    for image in data.get('images', []):
        if 'file_name' in image:
            mmcv.imwrite(np.full((SIDE, SIDE, 3), 127, np.uint8), str(folder / image['file_name']))
    path = folder / 'instances.json'
    path.write_text(json.dumps(data))
    return str(path)


def build(ann_file: str, test_mode: bool = False, with_mask: bool = False, **kwargs):
    init_default_scope('mmdet')
    return DATASETS.build({**dict(
        type='CheckedCocoDataset', ann_file=ann_file, test_mode=test_mode,
        data_prefix=dict(img=str(Path(ann_file).parent)), metainfo=dict(classes=('cat', 'dog')),
        filter_cfg=dict(filter_empty_gt=True, min_size=32),
        pipeline=[dict(type='LoadImageFromFile'),
                  dict(type='LoadAnnotations', with_bbox=True, with_mask=with_mask),
                  dict(type='PackDetInputs')]), **kwargs})


# name -> (annotation, boxes and ignored boxes that training sees, part of the warning)
GOES_ON = {
    'zero area': (annotation(bbox=[5, 5, 0, 0], area=0), (1, 0), 'smaller than one pixel'),
    'zero area field': (annotation(area=0), (1, 0), 'smaller than one pixel'),
    'outside the image': (annotation(bbox=[70, 5, 20, 20]), (1, 0), 'outside their image'),
    'left of the image': (annotation(bbox=[-30, 5, 20, 20]), (1, 0), 'outside their image'),
    'partly outside': (annotation(bbox=[50, 50, 30, 30], area=900), (2, 0), ''),
    'negative size': (annotation(bbox=[25, 25, -20, -20]), (1, 0), 'negative size'),
    'unknown category': (annotation(category_id=9), (1, 0), 'category that is not used'),
    'unknown image': (annotation(image_id=7), (1, 0), 'of an image that is not listed'),
    'polygon crowd': (annotation(iscrowd=1), (1, 1), ''),
    'RLE crowd': (annotation(iscrowd=1, segmentation=RLE), (1, 1), ''),
}


@pytest.mark.parametrize('with_mask', [False, True], ids=['boxes', 'masks'])
@pytest.mark.parametrize('case', GOES_ON)
def test_training_goes_on(case, with_mask, tmp_path):
    extra, (kept, ignored), _ = GOES_ON[case]
    dataset = build(write(tmp_path, coco_file(extra)), with_mask=with_mask)
    sample = dataset[0]['data_samples']
    assert (len(sample.gt_instances), len(sample.ignored_instances)) == (kept, ignored)
    assert len(dataset) == 1  # the image without objects is filtered out
    if with_mask:
        assert sample.gt_instances.masks.masks.shape == (kept, SIDE, SIDE)


@pytest.mark.parametrize('case', GOES_ON)
def test_what_is_left_out_is_counted(case, tmp_path):
    extra, _, warning = GOES_ON[case]
    dataset = build(write(tmp_path, coco_file(extra, dict(extra, id=3))))
    expected = [(True, 2)] if warning else []
    assert [(warning in reason, count) for reason, count in dataset.dropped.items()] == expected


def test_what_is_left_out_is_told_in_one_warning(tmp_path, monkeypatch):
    from tresnet_mm.datasets import checked_coco
    told = []
    monkeypatch.setattr(checked_coco, 'print_log', lambda *args: told.append(args))
    ann_file = write(tmp_path, coco_file(
        annotation(bbox=[70, 5, 20, 20]), annotation(id=3, bbox=[70, 5, 20, 20]),
        annotation(id=4, category_id=9)))
    build(ann_file)
    assert told == [(f'{ann_file}: annotations left out: 2 outside their image, '
                     '1 of a category that is not used', 'current', logging.WARNING)]


@pytest.mark.parametrize('metric', ['CocoMetric', 'FasterCocoMetric'])
@pytest.mark.parametrize('case', GOES_ON)
def test_evaluation_goes_on(case, metric, tmp_path):
    """A detector that finds the sound object gets its AP, whatever else the file holds."""
    from mmdet.registry import METRICS
    data = coco_file(GOES_ON[case][0])
    ann_file = write(tmp_path, data)
    assert len(build(ann_file, test_mode=True)) == 2
    evaluator = METRICS.build(dict(type=metric, ann_file=ann_file))
    evaluator.dataset_meta = dict(classes=('cat', 'dog'))
    sound = torch.tensor([[30., 30, 50, 40]])
    none = torch.zeros(0, 4)
    evaluator.process({}, [
        dict(img_id=i, ori_shape=(SIDE, SIDE), pred_instances=dict(
            bboxes=boxes, scores=torch.ones(len(boxes)), labels=torch.zeros(len(boxes)).long()))
        for i, boxes in ((1, sound), (2, none))])
    result = evaluator.evaluate(2)['coco/bbox_mAP']
    # Objects that do count and were not found halve the recall; nothing else may change the score.
    counted = case in ('partly outside', 'zero area', 'zero area field', 'outside the image',
                       'left of the image', 'negative size')
    assert result == pytest.approx(51 / 101 if counted else 1., abs=2e-3)


def without(data: dict, *keys: str) -> dict:
    return {key: value for key, value in data.items() if key not in keys}


def _doubled_image() -> dict:
    data = coco_file()
    data['images'].append(dict(data['images'][0]))
    return data


def _image_without_width() -> dict:
    data = coco_file()
    del data['images'][0]['width']
    return data


# name -> (file, what the message has to say)
STOPS = {
    'NaN box': (coco_file(annotation(bbox=[math.nan, 5, 20, 20])),
                r'annotation 2 of image 1: bbox \[nan, 5, 20, 20\] should be four finite numbers'),
    'infinite box': (coco_file(annotation(bbox=[5, 5, math.inf, 20])), 'four finite numbers'),
    'box of three': (coco_file(annotation(bbox=[5, 5, 20])), 'four finite numbers'),
    'box of text': (coco_file(annotation(bbox=['5', 5, 20, 20])), 'four finite numbers'),
    'no box': (coco_file(without(annotation(), 'bbox')), "annotation 2 of image 1 has no 'bbox'"),
    'no area': (coco_file(without(annotation(), 'area')), "annotation 2 of image 1 has no 'area'"),
    'empty list of annotations': (dict(coco_file(), annotations=[]),
                                  'of 2 images none is left'),
    'no list of annotations': (without(coco_file(), 'annotations'), 'of 2 images none is left'),
    'no list of images': (without(coco_file(), 'images'), "no list of 'images'"),
    'no list of categories': (without(coco_file(), 'categories'), "no list of 'categories'"),
    'image without size': (_image_without_width(), "image 1 has no 'width'"),
    'doubled image': (_doubled_image(), r'image id\(s\) are not unique, first \[1\]'),
    'doubled annotation': (coco_file(annotation(id=1)), 'not unique'),
}


@pytest.mark.parametrize('case', STOPS)
def test_stops_with_one_message(case, tmp_path):
    data, message = STOPS[case]
    ann_file = write(tmp_path, copy.deepcopy(data))
    with pytest.raises(ValueError, match=message) as error:
        build(ann_file)
    assert ann_file in str(error.value)


def test_missing_class_is_named(tmp_path):
    """mmdet would number the remaining classes anew: 'dog' would become label 0."""
    ann_file = write(tmp_path, coco_file())
    with pytest.raises(
            ValueError, match=r"class 'cow' \(1 of 2 classes\) is not among .*cat, dog"):
        build(ann_file, metainfo=dict(classes=('cow', 'dog')))


def test_masks_are_asked_for_only_where_a_model_learns_them(tmp_path):
    ann_file = write(tmp_path, coco_file(without(annotation(), 'segmentation')))
    assert len(build(ann_file)[0]['data_samples'].gt_instances) == 2
    with pytest.raises(ValueError, match="annotation 2 of image 1 has no 'segmentation'"):
        build(ann_file, with_mask=True)


def _told(monkeypatch) -> list[str]:
    from tresnet_mm.datasets import checked_coco
    told: list[str] = []
    monkeypatch.setattr(checked_coco, 'print_log', lambda message, *args: told.append(message))
    return told


@pytest.mark.parametrize('case', GOES_ON)
def test_counted_without_the_data_set_alike(case, tmp_path):
    from tresnet_mm.datasets.annotations import count_objects, read_coco
    ann_file = write(tmp_path, coco_file(GOES_ON[case][0], annotation(id=3, category_id=3)))
    dataset = build(ann_file)
    instances = [instance for i in range(len(dataset))
                 for instance in dataset.get_data_info(i)['instances']]
    learnt = [instance['bbox_label'] for instance in instances if not instance['ignore_flag']]
    counts = count_objects(read_coco(ann_file, outlines=False), ('cat', 'dog'))
    assert counts == (dict(cat=learnt.count(0), dog=1), dataset.crowds, dataset.dropped)


def test_crowds_are_told_of_where_they_are_most_objects(tmp_path, monkeypatch):
    told = _told(monkeypatch)
    ann_file = write(tmp_path, coco_file(annotation(iscrowd=1)))
    assert build(ann_file).crowds == 1
    assert told == []
    ann_file = write(tmp_path, coco_file(annotation(iscrowd=1), annotation(id=3, iscrowd=1)))
    dataset = build(ann_file)
    assert (dataset.crowds, len(dataset)) == (2, 1)
    assert told == [f'{ann_file}: 2 of 3 annotations are crowds (iscrowd=1), which are regions to '
                    'ignore and no objects to learn']


@pytest.mark.parametrize('filter_cfg', [None, dict(filter_empty_gt=True), dict(min_size=1)])
def test_nothing_to_learn_is_an_error(tmp_path, filter_cfg):
    data = coco_file(annotation())
    for entry in data['annotations']:
        entry['iscrowd'] = 1
    ann_file = write(tmp_path, data)
    with pytest.raises(ValueError, match=r'of 2 annotations no object is left to learn from.*: '
                                         '2 are crowds'):
        build(ann_file, filter_cfg=filter_cfg)
    assert len(build(ann_file, test_mode=True)) == 2


def test_unlabelled_images_are_data_where_the_filter_lets_them(tmp_path):
    """As semi-supervised training has them."""
    ann_file = write(tmp_path, without(coco_file(), 'annotations'))
    assert len(build(ann_file, filter_cfg=dict(filter_empty_gt=False))) == 2


def test_objects_marked_ignore_are_counted(tmp_path):
    dataset = build(write(tmp_path, coco_file(annotation(ignore=1), annotation(id=3, ignore=0))))
    assert dataset.dropped == {'marked ignore': 1}
    assert len(dataset[0]['data_samples'].gt_instances) == 2


def test_images_below_min_size_are_counted(tmp_path, monkeypatch):
    told = _told(monkeypatch)
    data = coco_file(annotation(image_id=2))
    data['images'][1].update(width=20)
    ann_file = write(tmp_path, data)
    assert len(build(ann_file)) == 1
    assert told == [f'{ann_file}: 1 of 2 images are left out: smaller than min_size=32']


def test_stray_ids_are_shown_with_their_kind(tmp_path, monkeypatch):
    told = _told(monkeypatch)
    build(write(tmp_path, coco_file(annotation(image_id='1'))))
    assert "1 of an image that is not listed ('1')" in told[0]


def test_image_folder_has_to_be_named(tmp_path):
    ann_file = write(tmp_path, coco_file())
    with pytest.raises(ValueError, match=r'dict\(img=FOLDER\), got .*img_path'):
        build(ann_file, data_prefix=dict(img_path='train/'))


def test_misspelt_class_is_an_error_under_the_name_of_mmdet(tmp_path):
    """A swapped config keeps mmdet's names: the same file, the same error."""
    ann_file = write(tmp_path, coco_file())
    with pytest.raises(ValueError, match=r"class 'cta' \(1 of 2 classes\) is not among .*cat, dog"):
        build(ann_file, type='CocoDataset', metainfo=dict(classes=('cta', 'dog')))


def test_shipped_configs_name_the_checked_dataset(repo_root):
    """And the checked loader, under whichever of their names."""
    from mmdet.registry import DATASETS, TRANSFORMS
    from mmengine.config import Config
    for path in sorted((repo_root / 'configs').glob('*.py')):
        cfg = Config.fromfile(path)
        for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
            if loader.dataset.type.startswith('CIFAR'):  # whose files hold the pixels themselves
                continue
            kind = DATASETS.get(loader.dataset.type)
            assert issubclass(kind, tresnet_mm.datasets.ImageDataset), path
            first = TRANSFORMS.get(loader.dataset.pipeline[0].type)
            assert issubclass(first, tresnet_mm.datasets.LoadImageChecked), path


def test_image_missing_on_disk_is_named(tmp_path):
    dataset = build(write(tmp_path, coco_file()))
    (tmp_path / '1.png').unlink()
    with pytest.raises(FileNotFoundError, match=r'1\.png'):
        dataset[0]


def test_unreadable_image_is_named(tmp_path):
    """OpenCV gives no image and no reason."""
    dataset = build(write(tmp_path, coco_file()))
    (tmp_path / '1.png').write_bytes(b'not an image')
    with pytest.raises((OSError, ValueError, AssertionError), match=r'1\.png'):
        dataset[0]


def test_evaluation_without_any_object(tmp_path):
    """An annotation file without objects can be evaluated: COCO's -1 says that nothing counts."""
    from mmdet.registry import METRICS
    ann_file = write(tmp_path, dict(coco_file(), annotations=[]))
    assert len(build(ann_file, test_mode=True)) == 2
    evaluator = METRICS.build(dict(type='CocoMetric', ann_file=ann_file))
    evaluator.dataset_meta = dict(classes=('cat', 'dog'))
    box = torch.tensor([[30., 30, 50, 40]])
    evaluator.process({}, [dict(img_id=1, ori_shape=(SIDE, SIDE), pred_instances=dict(
        bboxes=box, scores=torch.ones(1), labels=torch.zeros(1).long()))])
    assert evaluator.evaluate(1)['coco/bbox_mAP'] == -1


def test_same_as_mmdet_on_real_images(coco_tiny):
    """On a sound file the checks change nothing."""
    common = dict(data_root=str(coco_tiny), ann_file='annotations/instances_val2017.json',
                  data_prefix=dict(img='val2017/'), test_mode=True)
    init_default_scope('mmdet')
    ours = DATASETS.build(dict(type='CheckedCocoDataset', **common))
    theirs = DATASETS.build(dict(type=CocoDataset, **common))  # the class: mmdet's name is ours
    assert len(ours) == len(theirs) == 80
    assert all(ours.get_data_info(i) == theirs.get_data_info(i) for i in range(len(ours)))


def test_same_masks_as_mmdet_on_real_images(coco_tiny):
    """Every sample of training on boxes and masks, crowds among them."""
    common = dict(
        data_root=str(coco_tiny), ann_file='annotations/instances_train2017.json',
        data_prefix=dict(img='train2017/'), filter_cfg=dict(filter_empty_gt=True, min_size=32),
        pipeline=[dict(type='LoadImageFromFile'),
                  dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
                  dict(type='PackDetInputs')])
    init_default_scope('mmdet')
    ours = DATASETS.build(dict(type='CheckedCocoDataset', **common))
    theirs = DATASETS.build(dict(type=CocoDataset, **common))
    assert len(ours) == len(theirs) > 50
    for i in range(0, len(ours), 4):
        left, right = ours[i], theirs[i]
        assert torch.equal(left['inputs'], right['inputs'])
        for part in ('gt_instances', 'ignored_instances'):
            a, b = (getattr(sample['data_samples'], part) for sample in (left, right))
            assert torch.equal(a.bboxes.tensor, b.bboxes.tensor)
            assert torch.equal(a.labels, b.labels)
            assert np.array_equal(a.masks.masks, b.masks.masks)
