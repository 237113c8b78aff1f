"""COCO's metrics: mmdet's numbers on sound files, and the same numbers whatever the ids are."""

import copy
import json
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.evaluation.metrics import CocoMetric
from mmdet.registry import DATASETS, METRICS, TRANSFORMS

from tresnet_mm._compat import faster_coco_metric
from tresnet_mm.datasets import CheckedCocoDataset
from tresnet_mm.datasets.load_image_checked import LoadImageFromFileChecked
from tresnet_mm.datasets.pack_det_inputs import FastPackDetInputs
from tresnet_mm.evaluation import CheckedCocoMetric, CheckedFasterCocoMetric, renumbered_coco

SIDE = 128
NAMES = ('cat', 'dog', 'hen')
METRICS_OF_BOTH = ['CocoMetric', 'FasterCocoMetric']


def coco_file(seed: int = 0) -> dict:
    """Eight images of three categories, some crowds, boxes of all sizes, ids out of order."""
    rng = np.random.default_rng(seed)
    annotations = []
    for image_id in range(10, 18):
        for _ in range(5):
            x, y = rng.integers(0, 60, 2).tolist()
            w, h = rng.integers(4, 68, 2).tolist()
            annotations.append(dict(
                id=1000 - len(annotations), image_id=image_id,
                category_id=int(rng.choice([7, 2, 5])), bbox=[x, y, w, h], area=w * h,
                iscrowd=int(rng.random() < .15),
                segmentation=[[x, y, x + w, y, x + w, y + h, x, y + h]]))
    return dict(
        images=[dict(id=i, file_name=f'{i}.png', width=SIDE, height=SIDE) for i in range(10, 18)],
        categories=[dict(id=i, name=name) for i, name in zip((2, 5, 7), NAMES, strict=True)],
        annotations=annotations)


def predictions(coco: dict, classes=NAMES, seed: int = 0) -> list[dict]:
    """Boxes near the objects and some elsewhere, with labels by name."""
    rng = np.random.default_rng(seed)
    label_of = {c['id']: classes.index(c['name']) for c in coco['categories']}
    samples = []
    for image in coco['images']:
        boxes, labels = [], []
        for annotation in coco['annotations']:
            if annotation['image_id'] == image['id']:
                x, y, w, h = annotation['bbox']
                boxes.append(np.array([x, y, x + w, y + h]) + rng.normal(0, 3, 4))
                right = label_of[annotation['category_id']]
                wrong = label_of[coco['categories'][int(rng.integers(3))]['id']]
                labels.append(right if rng.random() < .8 else wrong)
        boxes = torch.tensor(np.array(boxes), dtype=torch.float32)
        masks = torch.zeros(len(boxes), SIDE, SIDE, dtype=torch.bool)
        for mask, box in zip(masks, boxes.clamp(0, SIDE).int().tolist(), strict=True):
            mask[box[1]:box[3], box[0]:box[2]] = True
        samples.append(dict(
            img_id=image['id'], ori_shape=(SIDE, SIDE), pred_instances=dict(
                bboxes=boxes, labels=torch.tensor(labels), masks=masks,
                scores=torch.tensor(rng.random(len(boxes)), dtype=torch.float32))))
    return samples


def write(folder: Path, coco: dict) -> str:
    path = folder / 'instances.json'
    path.write_text(json.dumps(coco))
    return str(path)


def evaluate(kind, ann_file, samples, classes=NAMES, **kwargs) -> dict:
    # The scope is said: another test may have left mmengine's default one elsewhere.
    evaluator = METRICS.build({**dict(type=kind, ann_file=ann_file, _scope_='mmdet'), **kwargs})
    evaluator.dataset_meta = dict(classes=classes)
    evaluator.process({}, copy.deepcopy(samples))
    return evaluator.evaluate(len(samples))


def theirs(metric):
    """mmdet's own class, which the name no longer means."""
    if metric == 'CocoMetric':
        return CocoMetric
    return faster_coco_metric()


def same(left: dict, right: dict) -> None:
    assert left.keys() == right.keys()
    np.testing.assert_array_equal(np.array(list(left.values())), np.array(list(right.values())))


@pytest.mark.parametrize('metric', METRICS_OF_BOTH)
@pytest.mark.parametrize('kwargs', [
    dict(metric=['bbox', 'segm'], classwise=True), dict(metric='proposal'),
    dict(iou_thrs=np.array([.5, .75]), proposal_nums=(1, 3, 10))], ids=str)
def test_numbers_of_mmdet(tmp_path, metric, kwargs):
    coco = coco_file()
    ann_file, samples = write(tmp_path, coco), predictions(coco)
    expected = evaluate(theirs(metric), ann_file, samples, **kwargs)
    assert all(np.isfinite(value) for value in expected.values())
    assert any(0 < value < 1 for value in expected.values())
    same(evaluate(metric, ann_file, samples, **kwargs), expected)


@pytest.mark.parametrize('metric', METRICS_OF_BOTH)
def test_numbers_of_mmdet_on_real_annotations(coco_tiny, metric):
    """A detector that finds each object somewhat shifted."""
    ann_file = coco_tiny / 'annotations/instances_val2017.json'
    coco = json.loads(ann_file.read_text())
    names = tuple(category['name'] for category in coco['categories'])
    label_of = {c['id']: i for i, c in enumerate(coco['categories'])}
    rng = np.random.default_rng(0)
    samples = []
    for image in coco['images']:
        found = [a for a in coco['annotations'] if a['image_id'] == image['id']]
        boxes = np.array([a['bbox'] for a in found]).reshape(-1, 4) * rng.uniform(.9, 1.1)
        boxes[:, 2:] += boxes[:, :2]
        samples.append(dict(
            img_id=image['id'], ori_shape=(image['height'], image['width']), pred_instances=dict(
                bboxes=torch.tensor(boxes), scores=torch.tensor(rng.random(len(found))),
                labels=torch.tensor([label_of[a['category_id']] for a in found]))))
    expected = evaluate(theirs(metric), str(ann_file), samples, names, classwise=True)
    assert 0.1 < expected['coco/bbox_mAP'] < 0.95
    same(evaluate(metric, str(ann_file), samples, names, classwise=True), expected)


def _new_ids(coco, image=lambda i: i, annotation=lambda i: i, category=lambda i: i):
    coco = copy.deepcopy(coco)
    for entry in coco['images']:
        entry['id'] = image(entry['id'])
    for entry in coco['categories']:
        entry['id'] = category(entry['id'])
    for entry in coco['annotations']:
        entry.update(id=annotation(entry['id']), image_id=image(entry['image_id']),
                     category_id=category(entry['category_id']))
    return coco


IDS = {
    'text': dict(image='frame_{}'.format, annotation=str, category='c{}'.format),
    'digits as text': dict(image=str),
    'beyond 2**53': dict(image=lambda i: 2**53 + i - 10, annotation=lambda i: 2**64 + i),
    'mixed': dict(image=lambda i: i if i % 2 else str(i), category=lambda i: i if i > 2 else 'a'),
    'one number, two kinds': dict(image=lambda i: '11' if i == 10 else i),
    'from 0': dict(image=lambda i: i - 10, annotation=lambda i: 1000 - i),
    'negative': dict(image=lambda i: -i, annotation=lambda i: -i, category=lambda i: -i),
    'other order': dict(category=lambda i: {2: 9, 5: 4, 7: 1}[i]),
}


@pytest.mark.parametrize('metric', METRICS_OF_BOTH)
@pytest.mark.parametrize('ids', IDS)
def test_numbers_do_not_depend_on_ids(tmp_path, metric, ids):
    coco = coco_file()
    kwargs = dict(metric=['bbox', 'segm'], classwise=True)
    expected = evaluate(metric, write(tmp_path, coco), predictions(coco), **kwargs)
    changed = _new_ids(coco, **IDS[ids])
    same(evaluate(metric, write(tmp_path, changed), predictions(changed), **kwargs), expected)


@pytest.mark.parametrize('metric', METRICS_OF_BOTH)
@pytest.mark.parametrize('classes', [NAMES, NAMES[::-1], ('dog', 'hen', 'cat')])
def test_labels_follow_the_classes(tmp_path, metric, classes):
    """Neither the file's order of categories nor that of the classes changes a class's AP."""
    coco = coco_file()
    expected = evaluate(metric, write(tmp_path, coco), predictions(coco), classwise=True)
    assert len({expected[f'coco/{name}_precision'] for name in NAMES}) == 3
    for categories in (coco['categories'], coco['categories'][::-1]):
        ann_file = write(tmp_path, dict(coco, categories=categories))
        found = evaluate(metric, ann_file, predictions(coco, classes), classes, classwise=True)
        assert found == expected


@pytest.mark.parametrize('metric', METRICS_OF_BOTH)
def test_ids_without_a_file(tmp_path, metric):
    """Annotations come with the samples; the dataset's ids are text."""
    coco = coco_file()

    def run(samples):
        for sample in samples:
            found = [a for a in coco['annotations'] if f'{a["image_id"]}' in str(sample['img_id'])]
            boxes = torch.tensor([a['bbox'] for a in found], dtype=torch.float32)
            boxes[:, 2:] += boxes[:, :2]
            labels = torch.tensor([(2, 5, 7).index(a['category_id']) for a in found])
            sample['gt_instances'] = dict(bboxes=boxes, labels=labels)
            sample['instances'] = [
                dict(bbox=box.tolist(), bbox_label=int(label), ignore_flag=0)
                for box, label in zip(boxes, labels, strict=True)]
            del sample['pred_instances']['masks']
        return evaluate(metric, None, samples)

    expected = run(predictions(coco))
    assert 0 < expected['coco/bbox_mAP'] < 1
    same(run([dict(sample, img_id=f'frame_{sample["img_id"]}') for sample in predictions(coco)]),
         expected)


@pytest.mark.parametrize('metric', METRICS_OF_BOTH)
def test_missing_iscrowd_is_0(tmp_path, metric):
    coco = coco_file()
    for annotation in coco['annotations']:
        annotation['iscrowd'] = 0
    expected = evaluate(metric, write(tmp_path, coco), predictions(coco))
    for annotation in coco['annotations']:
        del annotation['iscrowd']
    same(evaluate(metric, write(tmp_path, coco), predictions(coco)), expected)


@pytest.mark.parametrize('metric', METRICS_OF_BOTH)
def test_ignored_objects_are_neither_right_nor_wrong(tmp_path, metric):
    """As training leaves them out: a perfect detector stays perfect, found or not."""
    coco = coco_file()
    for annotation in coco['annotations']:
        annotation['iscrowd'] = 0
    for annotation in coco['annotations'][::3]:
        annotation['ignore'] = 1
    ann_file = write(tmp_path, coco)
    for found in (coco['annotations'], [a for a in coco['annotations'] if not a.get('ignore')]):
        samples = []
        for image in coco['images']:
            of_image = [a for a in found if a['image_id'] == image['id']]
            boxes = torch.tensor([a['bbox'] for a in of_image], dtype=torch.float32).view(-1, 4)
            boxes[:, 2:] += boxes[:, :2]
            samples.append(dict(img_id=image['id'], ori_shape=(SIDE, SIDE), pred_instances=dict(
                bboxes=boxes, scores=torch.ones(len(boxes)), labels=torch.tensor(
                    [(2, 5, 7).index(a['category_id']) for a in of_image], dtype=torch.int64))))
        assert evaluate(metric, ann_file, samples)['coco/bbox_mAP'] == 1


@pytest.mark.parametrize('metric', METRICS_OF_BOTH)
@pytest.mark.parametrize('segmentation', [[[]], [], [[0, 0, 40, 40]]])
def test_object_without_a_mask_does_not_count(tmp_path, metric, segmentation, monkeypatch):
    told = []
    monkeypatch.setattr(renumbered_coco, 'print_log', lambda *args: told.append(args))
    coco = coco_file()
    for annotation in coco['annotations']:
        annotation['iscrowd'] = 0
    samples = predictions(coco)
    coco['annotations'][0]['segmentation'] = segmentation
    ann_file = write(tmp_path, coco)
    found = evaluate(metric, ann_file, samples, metric=['segm'])
    assert told == [(f'{ann_file}: annotations that do not count: 1 without an area in their '
                     'segmentation', 'current', logging.WARNING)]
    coco['annotations'][0].update(
        iscrowd=1, segmentation=coco_file()['annotations'][0]['segmentation'])
    same(found, evaluate(metric, write(tmp_path, coco), samples, metric=['segm']))


def test_result_files_have_the_ids_of_the_annotation_file(tmp_path):
    coco = _new_ids(coco_file(), **IDS['text'])
    samples = predictions(coco, NAMES[::-1])
    evaluate('CocoMetric', write(tmp_path, coco), samples, NAMES[::-1], format_only=True,
             outfile_prefix=str(tmp_path / 'result'))
    written = json.loads((tmp_path / 'result.bbox.json').read_text())
    name_of = {c['id']: c['name'] for c in coco['categories']}
    expected = [(sample['img_id'], NAMES[::-1][label])
                for sample in samples for label in sample['pred_instances']['labels'].tolist()]
    assert [(p['image_id'], name_of[p['category_id']]) for p in written] == expected


def test_faults_are_told_before_anything_runs(tmp_path):
    coco = coco_file()
    del coco['annotations'][3]['area']
    with pytest.raises(ValueError, match=r"annotation 997 of image 10 has no 'area'"):
        METRICS.build(
            dict(type='CocoMetric', ann_file=write(tmp_path, coco), _scope_='mmdet'))


def test_predictions_of_other_images(tmp_path):
    coco = coco_file()
    samples = predictions(coco)
    samples[0]['img_id'] = '10'
    with pytest.raises(ValueError, match=r"id '10', are not of an image that .*instances\.json"):
        evaluate('CocoMetric', write(tmp_path, coco), samples)


def test_class_that_the_file_lacks(tmp_path):
    coco = coco_file()
    with pytest.raises(ValueError, match=r"class 'cow' \(1 of 2 classes\).*cat, dog, hen"):
        evaluate('CocoMetric', write(tmp_path, coco), predictions(coco), ('cat', 'cow'))
    with pytest.raises(ValueError, match=r"the string 'cat'"):
        evaluate('CocoMetric', write(tmp_path, coco), predictions(coco), 'cat')


def test_names_of_mmdet_mean_the_checked_classes():
    assert METRICS.get('CocoMetric') is CheckedCocoMetric
    assert METRICS.get('FasterCocoMetric') is CheckedFasterCocoMetric
    assert METRICS.get('mmdet.CocoMetric') is CheckedCocoMetric
    assert DATASETS.get('CocoDataset') is CheckedCocoDataset
    assert TRANSFORMS.get('LoadImageFromFile') is LoadImageFromFileChecked
    assert TRANSFORMS.get('PackDetInputs') is FastPackDetInputs


@pytest.mark.parametrize('metric', METRICS_OF_BOTH)
def test_images_whose_boxes_nobody_has_annotated_are_left_out(tmp_path, metric):
    coco = coco_file()
    ann_file, samples = write(tmp_path, coco), predictions(coco)
    strange = dict(copy.deepcopy(samples[0]), img_id='labels/0.png', has_boxes=False)
    same(evaluate(metric, ann_file, [samples[0], strange, *samples[1:]], metric='bbox'),
         evaluate(metric, ann_file, samples, metric='bbox'))
