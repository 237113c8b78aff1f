"""Both tasks trained and evaluated by the tools in one run."""
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.runner import Runner

from tresnet_mm import Inferencer
from tresnet_mm.archs import ARCHS

ROOT = Path(__file__).resolve().parents[2]
CONFIG = 'configs/multitask_fcos_tresnet_tiny_shapes.py'
# an untrained detector finds nothing above the config's score threshold
OPTIONS = ['model.detector.test_cfg.score_thr=0', 'train_cfg.max_epochs=1',
           'param_scheduler.0.total_steps=1',
           'train_dataloader.num_workers=0', 'train_dataloader.persistent_workers=False',
           'val_dataloader.num_workers=0', 'val_dataloader.persistent_workers=False',
           'test_dataloader.num_workers=0', 'test_dataloader.persistent_workers=False']


def run(*command: str) -> str:
    result = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-3000:]
    return result.stdout


@pytest.mark.slow
def test_both_metrics_in_one_run_and_scores_saved(tmp_path, monkeypatch):
    shapes, work = tmp_path / 'shapes', tmp_path / 'work'
    monkeypatch.setenv('SHAPES_ROOT', str(shapes))
    run('tools/make_shapes.py', str(shapes), '--num-train', '16', '--num-val', '6')
    run('tools/train.py', CONFIG, '--work-dir', str(work), '--cfg-options', *OPTIONS)
    lines = [json.loads(line) for file in work.glob('*/vis_data/scalars.json')
             for line in file.read_text().splitlines()]
    assert any({'coco/bbox_mAP', 'multi-label/mAP'} <= set(line) for line in lines)
    scores = tmp_path / 'scores.npz'
    run('tools/test.py', CONFIG, str(work / 'epoch_1.pth'), '--work-dir', str(work / 'test'),
        '--out', str(scores), '--cfg-options', *OPTIONS)
    annotations = json.loads((shapes / 'annotations/instances_val.json').read_text())
    names = {c['id']: c['name'] for c in annotations['categories']}
    expected = {image['file_name']: set() for image in annotations['images']}
    for annotation in annotations['annotations']:
        image = next(i for i in annotations['images'] if i['id'] == annotation['image_id'])
        expected[image['file_name']].add(names[annotation['category_id']])
    with np.load(scores) as data:
        assert data['scores'].shape == (6, 6)
        assert (data['scores'] > 0).all() and (data['scores'] < 1).all()
        found = {Path(image).name: set(data['classes'][row == 1])
                 for image, row in zip(data['images'].tolist(), data['targets'], strict=True)}
    assert found == {Path(name).name: labels for name, labels in expected.items()}


@pytest.mark.slow
def test_real_images(coco_tiny, tmp_path, monkeypatch):
    """An epoch on real images; the labels evaluated are the annotations', crowds included."""
    monkeypatch.setenv('COCO_ROOT', str(coco_tiny))
    cfg = Config.fromfile(ROOT / 'configs/multitask_fcos_tresnet_m.py')
    detector, scores = cfg.model.detector, tmp_path / 'scores.npz'
    detector.backbone.update(arch=dict(ARCHS['m'], depths=(1, 1, 1, 1)), frozen_stages=-1,
                             init_cfg=None)
    detector.test_cfg.score_thr = 0
    cfg.merge_from_dict({
        'work_dir': str(tmp_path), 'train_cfg.max_epochs': 1, 'train_dataloader.batch_size': 2,
        'train_dataloader.dataset.indices': 4,
        'train_dataloader.dataset.pipeline.2.scale': (96, 96),
        'val_dataloader.dataset.pipeline.1.scale': (96, 96), 'default_hooks.checkpoint': None})
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
    cfg.test_dataloader = cfg.test_evaluator = cfg.test_cfg = None
    cfg.val_evaluator.append(dict(type='DumpMultiLabelScores', out_file=str(scores)))
    runner = Runner.from_cfg(cfg)
    runner.train()
    metrics = runner.message_hub.log_scalars
    assert {'val/coco/bbox_mAP', 'val/multi-label/mAP', 'train/loss_mlc'} <= set(metrics)
    annotations = json.loads((coco_tiny / 'annotations/instances_val2017.json').read_text())
    names = {c['id']: c['name'] for c in annotations['categories']}
    with np.load(scores) as data:
        assert len(data['images']) == len(annotations['images'])
        for path, row in zip(data['images'].tolist(), data['targets'], strict=True):
            expected = {names[a['category_id']] for a in annotations['annotations']
                        if a['image_id'] == int(Path(path).stem)}
            assert set(data['classes'][row == 1]) == expected


TWO_SETS = """
_base_ = '{root}/configs/multitask_fcos_tresnet_tiny_shapes.py'

metainfo = dict(_base_.metainfo, image_classes=dict(weather=('sun', 'rain'), scene=('a', 'b', 'c')))
boxes = dict(_base_.train_dataloader.dataset, metainfo=metainfo)
labels = dict(
    type='LabelledImages', data_root='{shapes}', data_prefix=dict(img='train'), metainfo=metainfo,
    image_labels=dict(weather='weather.csv', scene='scene.csv'), pipeline=boxes['pipeline'])
train_dataloader = dict(
    batch_size=8, sampler=dict(_delete_=True, type='MultiDataSampler', dataset_ratio=(3, 1)),
    dataset=dict(_delete_=True, type='ConcatDataset', datasets=[boxes, labels]))
val_dataloader = dict(dataset=dict(
    metainfo=metainfo, image_labels=dict(weather='val.csv'), boxes='some'))
test_dataloader = val_dataloader
model = dict(
    loss_weighting='uncertainty', label_scores='mean',
    image_heads=dict(weather=dict(type='SingleLabelHead', num_classes=2),
                     scene=dict(type='MultiLabelLinearHead', num_classes=3)))
val_evaluator = [*_base_.val_evaluator, dict(type='SingleLabelMetric', field='weather')]
test_evaluator = val_evaluator
"""


@pytest.mark.slow
def test_two_data_sets_with_labels_of_their_own(tmp_path, monkeypatch):
    """Boxes from one, weather and scene from the other; evaluated where there are labels."""
    shapes, work = tmp_path / 'shapes', tmp_path / 'work'
    monkeypatch.setenv('SHAPES_ROOT', str(shapes))
    run('tools/make_shapes.py', str(shapes), '--num-train', '16', '--num-val', '6')
    names = {split: [image['file_name'] for image in json.loads(
        (shapes / f'annotations/instances_{split}.json').read_text())['images']]
        for split in ('train', 'val')}
    for name, lines in (
            ('weather', [f'{name},{"rain" if i % 2 else "sun"}'
                         for i, name in enumerate(names['train'][:8])]),
            ('scene', [f'{name},a;c' for name in names['train'][4:12]]),
            ('val', [f'{name},rain' for name in names['val'][:4]])):
        (shapes / f'{name}.csv').write_text('\n'.join(['img_path,labels', *lines]))
    config = tmp_path / 'two_sets.py'
    config.write_text(TWO_SETS.format(root=ROOT, shapes=shapes))
    said = run('tools/train.py', str(config), '--work-dir', str(work), '--cfg-options', *OPTIONS)
    assert "of 12 images 0 with annotated boxes, 8 with labels of 'weather', 8 with labels of " \
        "'scene'" in said
    lines = [json.loads(line) for file in work.glob('*/vis_data/scalars.json')
             for line in file.read_text().splitlines()]
    assert any({'coco/bbox_mAP', 'multi-label/mAP', 'weather/top1'} <= set(line) for line in lines)
    said = run('tools/test.py', str(config), str(work / 'epoch_1.pth'), '--work-dir',
               str(work / 'test'), '--cfg-options', *OPTIONS)
    assert 'weather/top1' in said
    inferencer = Inferencer(str(config), str(work / 'epoch_1.pth'), device='cpu')
    (result, ) = inferencer(str(shapes / 'val' / names['val'][0]))
    assert set(result['image_labels']['weather']['scores']) == {'sun', 'rain'}
    assert len(result['image_labels']['weather']['labels']) == 1
    assert set(result['image_labels']['scene']['scores']) == {'a', 'b', 'c'}
