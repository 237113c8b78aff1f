"""Untrained models with data on which their measures are far from 0 and from 1.

The truth is made of what the model itself predicts, in part: so a measure moves with every score
and box, which that of an untrained model on foreign truth does not.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

from tests.deploy import test_onnx_graphs_detr as detrs
from tests.deploy import test_onnx_graphs_two_stage as two_stage
from tests.inference.conftest import CLASSES, FCOS, HEAD, TINY, UNIT, spread_weights
from tresnet_mm import Inferencer

#: Height and width of the images: no two that follow each other are padded alike.
SIZES = ((70, 96), (96, 64), (101, 128), (64, 64), (90, 120), (50, 128), (128, 77), (66, 99),
         (111, 60))
WEATHER, SCENE = ('sun', 'rain', 'snow'), ('sea', 'street')
NAMED = dict(weather=dict(type='SingleLabelHead', num_classes=3),
             scene=dict(type='MultiLabelLinearHead', num_classes=2, thresholds=[0.45, 0.55]))
CLASSIFIER = dict(type='MultiLabelClassifier', backbone=dict(TINY, out_indices=(3,)))
MODEL_OF = {
    'classifier': dict(CLASSIFIER, head=dict(HEAD, thresholds=[0.4, 0.5, 0.6])),
    'single-label': dict(CLASSIFIER, head=dict(type='SingleLabelHead', num_classes=3)),
    'detector': FCOS,
    'joint': dict(type='MultiTaskDetector', detector=FCOS, image_head=HEAD, image_heads=NAMED,
                  label_scores='mean'),
}
PADDED = dict(data_preprocessor=dict(type='DetDataPreprocessor', pad_size_divisor=32, **UNIT))
#: Kinds of the tests of graphs -> their model, and what makes it random; of five classes.
OTHERS = {
    'two-stage': (dict(two_stage.config('Faster'), **PADDED), two_stage.randomise),
    'masks': (dict(two_stage.config('Mask'), **PADDED), two_stage.randomise),
    'DINO': (dict(detrs.config('DINO'), **PADDED), detrs.randomise),
}
LABELLERS = ('classifier', 'single-label')
RESIZE = dict(type='Resize', scale=(96, 96), keep_ratio=True)
EVALUATORS = {
    'classifier': [dict(type='MultiLabelMetric')],
    'single-label': [dict(type='SingleLabelMetric')],
    'joint': [dict(type='MultiLabelMetric'), dict(type='SingleLabelMetric', field='weather'),
              dict(type='MultiLabelMetric', field='scene')],
}


@dataclass(frozen=True)
class OwnTruth:
    """A config file, its checkpoint, and the images of its data set."""

    config: Path
    checkpoint: Path
    images: list[Path]


def make(kind: str, folder: Path) -> OwnTruth:
    """Write model, images, and what is taken for their truth."""
    images = _images(folder / 'images')
    model, spread = OTHERS.get(kind) or (MODEL_OF[kind], _spread)
    classes = tuple('abcde') if kind in OTHERS else CLASSES
    cfg = _config(kind, folder, model, classes)
    files = OwnTruth(folder / 'model.py', folder / 'model.pth', images)
    cfg.dump(files.config)  # before mmdet writes into it
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(cfg.model)
        model.init_weights()
        spread(model.eval())
    torch.save(dict(state_dict=model.state_dict(), meta=dict(dataset_meta=dict(
        classes=classes, image_classes=dict(weather=WEATHER, scene=SCENE)))), files.checkpoint)
    run = Inferencer(str(files.config), str(files.checkpoint), 'cpu', show_progress=False)
    _write_truth(folder, images, run(images, score_thr=0.0), classes)
    return files


def _spread(model: torch.nn.Module) -> None:
    spread_weights(model)
    for module in model.modules():
        if isinstance(module, torch.nn.Linear):  # labels that differ from image to image
            torch.nn.init.normal_(module.weight, std=0.3)


def _images(folder: Path) -> list[Path]:
    """Smooth noise."""
    folder.mkdir(parents=True)
    random, paths = np.random.default_rng(0), []
    for number, (height, width) in enumerate(SIZES):
        coarse = random.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
        paths.append(folder / f'{number}.png')
        cv2.imwrite(str(paths[-1]), cv2.resize(coarse, (width, height)))
    return paths


def _config(kind: str, folder: Path, model: dict, classes: tuple[str, ...]) -> Config:
    load, detects = dict(type='LoadImageChecked'), kind not in LABELLERS
    metainfo = dict(classes=classes)
    if detects:
        data = dict(type='CheckedCocoDataset', ann_file='truth.json')
        steps = [load, RESIZE, dict(type='LoadAnnotations', with_bbox=True),
                 dict(type='PackDetInputs', meta_keys=(
                     'img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))]
    elif kind == 'classifier':
        data = dict(type='CocoMultiLabel', ann_file='truth.json')
        steps = [load, RESIZE, dict(type='PackMultiLabelInputs')]
    else:
        data = dict(type='CustomSingleLabel', ann_file='one.csv')
        steps = [load, dict(type='ResizeShortSide', side=72), dict(type='CenterCrop', crop_size=64),
                 dict(type='PackSingleLabelInputs')]
    if kind == 'joint':
        metainfo['image_classes'] = dict(weather=WEATHER, scene=SCENE)
        data['image_labels'] = dict(weather='weather.csv', scene='scene.csv')
    loader = dict(
        batch_size=4, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=dict(data, data_root=str(folder), data_prefix=dict(img='images'), test_mode=True,
                     metainfo=metainfo, pipeline=steps))
    boxes = dict(type='CocoMetric', ann_file=str(folder / 'truth.json'),
                 metric=['bbox'] + ['segm'] * (kind == 'masks'))
    return Config(dict(
        default_scope='mmdet', custom_imports=dict(imports=['tresnet_mm']), model=model,
        test_dataloader=loader, test_cfg=dict(type='TestLoop'),
        test_evaluator=[boxes] * detects + EVALUATORS.get(kind, [])))


def _write_truth(folder: Path, images: list[Path], results: list[dict],
                 classes: tuple[str, ...]) -> None:
    """Every other box of each image, cut a little, and labels that are wrong at times."""
    content = dict(images=[], annotations=[], categories=[
        dict(id=index, name=name) for index, name in enumerate(classes)])
    tables: dict[str, list[str]] = dict(one=[], weather=[], scene=[])
    middle = {name: np.median([result['scores'][name] for result in results])
              for name in results[0].get('scores', ())}
    for number, (path, result) in enumerate(zip(images, results, strict=True)):
        content['images'].append(dict(id=number, file_name=path.name, width=result['width'],
                                      height=result['height']))
        boxes = [box for box in result.get('boxes', ()) if _area(box['bbox']) > 16][:16:2]
        if 'scores' in result and not boxes:
            present = [name for name, score in result['scores'].items()
                       if (score > middle[name]) != (number == 0)]
            boxes = [dict(bbox=[0, 0, 9, 9], label_id=classes.index(name)) for name in present]
        for place, box in enumerate(boxes):
            x1, y1, x2, y2 = box['bbox']
            x1 += (x2 - x1) * (0.02, 0.13, 0.27)[place % 3]  # no IoU is at a threshold of COCO
            content['annotations'].append(dict(
                id=len(content['annotations']) + 1, image_id=number, category_id=box['label_id'],
                iscrowd=0, bbox=[x1, y1, x2 - x1, y2 - y1], area=_area(box['bbox']),
                **(dict(segmentation=box['mask']) if 'mask' in box else {})))
        for table, lines in tables.items():
            scores = result.get('image_labels', {}).get(table, result).get('scores', {})
            ranked = sorted(scores, key=scores.get, reverse=True)[number % 4 == 0:]
            lines.append(f'{path.name},{ranked[0] if ranked else ""}')
    (folder / 'truth.json').write_text(json.dumps(content))
    for table, lines in tables.items():
        (folder / f'{table}.csv').write_text('\n'.join(['img_path,labels', *lines]))


def _area(box: list[float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
