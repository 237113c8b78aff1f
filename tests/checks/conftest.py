"""Small data in COCO's format and the demo's configs on it, for the checks to disagree with."""

import json
from pathlib import Path

import pytest
from mmengine.config import Config

import tresnet_mm

NAMES = ('cat', 'dog', 'hen')


def coco(number=8, classes=2, first_id=1, shift=0):
    """A file of images with two objects each; its boxes move with ``shift``."""
    images = [dict(id=first_id + i, file_name=f'{i}.png', width=96, height=96)
              for i in range(number)]
    annotations = [
        dict(id=k + 1, image_id=images[k // 2]['id'], category_id=k % classes + 1, iscrowd=0,
             bbox=[4 + k % 5 + shift, 4, 30, 30], area=900) for k in range(2 * number)]
    return dict(images=images, annotations=annotations,
                categories=[dict(id=k + 1, name=NAMES[k]) for k in range(classes)])


def write(root: Path, split: str, content: dict) -> Path:
    path = root / 'annotations' / f'instances_{split}.json'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    (root / split).mkdir(exist_ok=True)
    for image in content['images']:  # nothing reads them
        (root / split / str(image['file_name'])).touch()
    return path


@pytest.fixture
def root(tmp_path):
    """A folder with train and val of two classes."""
    for split, shift in (('train', 0), ('val', 3)):
        write(tmp_path, split, coco(shift=shift))
    return tmp_path


@pytest.fixture
def own(repo_root, root):
    """A shipped config of shapes on that data: ``own(name, {dotted key: value})``."""
    def make(name='fcos_tresnet_tiny_shapes', options=None, classes=NAMES[:2]):
        cfg = Config.fromfile(repo_root / f'configs/{name}.py')
        cfg.merge_from_dict({'train_cfg.max_epochs': 1, 'param_scheduler.0.total_steps': 1})
        for split in ('train', 'val', 'test'):
            folder = 'train' if split == 'train' else 'val'
            cfg.merge_from_dict({
                f'{split}_dataloader.batch_size': 4,
                f'{split}_dataloader.dataset.data_root': str(root),
                f'{split}_dataloader.dataset.ann_file': f'annotations/instances_{folder}.json',
                f'{split}_dataloader.dataset.metainfo': dict(classes=classes)})
        for split in ('val', 'test'):
            metrics = cfg[f'{split}_evaluator']
            for metric in metrics if isinstance(metrics, list) else [metrics]:
                if 'ann_file' in metric:
                    metric.ann_file = str(root / 'annotations/instances_val.json')
        for head in ('model.bbox_head', 'model.head', 'model.image_head',
                     'model.detector.bbox_head'):
            part = cfg
            for step in head.split('.'):
                part = part.get(step) if part else None
            if part:
                part.num_classes = len(classes)
        if options:
            cfg.merge_from_dict(options)
        return cfg
    return make


@pytest.fixture
def problems():
    """The problems of a config by their keys, notes apart."""
    def find(cfg, checkpoint=None, task='train', severity='error'):
        found = tresnet_mm.preflight(cfg, checkpoint, task)
        return {problem.where: problem for problem in found if problem.severity == severity}
    return find


@pytest.fixture
def coco_file(root):
    """Write another annotation file: ``coco_file(split, number=..., classes=..., ...)``."""
    return lambda split, **kwargs: write(root, split, coco(**kwargs))
