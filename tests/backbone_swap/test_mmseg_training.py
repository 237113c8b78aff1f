"""A segmentation config with TResNet-M swapped in, trained and evaluated by mmseg's own tools."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mmengine.utils import get_installed_path
from PIL import Image
from pycocotools.coco import COCO

from tests.lines import needs_package
from tresnet_mm.commands.swap import main as swap
from tresnet_mm.datasets.shapes import ShapesSpec, make_shapes

BASE = 'mmseg::fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py'
SPEC = ShapesSpec(num_train=16, num_val=6, size=64, max_objects=4)
CLASSES = ('background', *SPEC.class_names)
CONFIG = """
_base_ = './swapped.py'
classes = {classes}
load = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
dataset = dict(type='BaseSegDataset', data_root={root!r}, metainfo=dict(classes=classes),
               img_suffix='.jpg', seg_map_suffix='.png')
train_dataloader = dict(
    _delete_=True, batch_size=4, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(data_prefix=dict(img_path='train', seg_map_path='masks/train'),
                 pipeline=[*load, dict(type='RandomFlip', prob=0.5), dict(type='PackSegInputs')],
                 **dataset))
val_dataloader = dict(
    _delete_=True, batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(data_prefix=dict(img_path='val', seg_map_path='masks/val'),
                 pipeline=[*load, dict(type='PackSegInputs')], **dataset))
test_dataloader = val_dataloader
model = dict(data_preprocessor=dict(size=(64, 64)), backbone=dict(init_cfg=None),
             decode_head=dict(num_classes=7), auxiliary_head=dict(num_classes=7))
train_cfg = dict(_delete_=True, type='EpochBasedTrainLoop', max_epochs=1)
default_hooks = dict(checkpoint=dict(by_epoch=True, interval=1), logger=dict(interval=1))
randomness = dict(seed=0)
"""


def draw_masks(root: Path) -> None:
    """The label of each pixel: 0, or that of the object there, the last drawn on top."""
    for split in ('train', 'val'):
        coco = COCO(root / f'annotations/instances_{split}.json')
        (root / 'masks' / split).mkdir(parents=True)
        for image in coco.loadImgs(coco.getImgIds()):
            mask = np.zeros((image['height'], image['width']), np.uint8)
            for ann in coco.loadAnns(coco.getAnnIds(image['id'])):
                mask[coco.annToMask(ann) > 0] = 1 + coco.getCatIds().index(ann['category_id'])
            name = Path(image['file_name']).with_suffix('.png').name
            Image.fromarray(mask).save(root / 'masks' / split / name)


def mean_iou(predicted: Path, truth: Path) -> float:
    """The mean over classes of the intersection over the union of all images' pixels."""
    both, either = np.zeros(len(CLASSES)), np.zeros(len(CLASSES))
    files = sorted(truth.glob('*.png'))
    assert len(files) == SPEC.num_val
    for file in files:
        guess, mask = (np.asarray(Image.open(p)) for p in (predicted / file.name, file))
        for i in range(len(CLASSES)):
            both[i] += ((guess == i) & (mask == i)).sum()
            either[i] += ((guess == i) | (mask == i)).sum()
    return 100 * np.nanmean(both / np.where(either, either, np.nan))


def run(repo_root: Path, tool: str, *arguments: str | Path) -> None:
    tools = Path(get_installed_path('mmseg'), '.mim/tools')
    result = subprocess.run(
        [sys.executable, '-W', 'ignore', tools / tool, *arguments], capture_output=True, text=True,
        env={**os.environ, 'PYTHONPATH': str(repo_root), 'CUDA_VISIBLE_DEVICES': ''})
    assert result.returncode == 0, result.stderr[-3000:]


def written(folder: Path, file: str, figure: str) -> list[dict[str, float]]:
    """What mmengine wrote into its logs that has this figure: a line each."""
    lines = [json.loads(line) for line in next(folder.rglob(file)).read_text().splitlines()]
    return [line for line in lines if figure in line]


@pytest.mark.slow
@needs_package('mmseg')
def test_a_segmentation_config_trains_and_is_evaluated(tmp_path, repo_root, capsys):
    data, work = tmp_path / 'shapes', tmp_path / 'work'
    make_shapes(data, SPEC)
    draw_masks(data)
    swap([BASE, '-o', str(tmp_path / 'swapped.py')])
    config = tmp_path / 'config.py'
    config.write_text(CONFIG.format(classes=CLASSES, root=str(data)))

    run(repo_root, 'train.py', config, '--work-dir', work)
    run(repo_root, 'test.py', config, work / 'epoch_1.pth', '--work-dir', tmp_path / 'test',
        '--out', tmp_path / 'predicted')

    losses = [line['loss'] for line in written(work, 'scalars.json', 'loss')]
    assert len(losses) == SPEC.num_train / 4 and np.isfinite(losses).all()
    (trained,) = written(work, 'scalars.json', 'mIoU')
    (found,) = written(tmp_path / 'test', '*.json', 'mIoU')
    assert found['mIoU'] == pytest.approx(mean_iou(tmp_path / 'predicted', data / 'masks/val'),
                                          abs=0.006)
    assert {name: trained[name] for name in ('mIoU', 'aAcc')} == {
        name: found[name] for name in ('mIoU', 'aAcc')}
