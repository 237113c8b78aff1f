"""``tools/train.py`` and ``tools/test.py`` on real images with a multi-label config."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

SMALL = [
    # One block a stage, 64 px, no pretrained weights: everything else is the config's.
    'model.backbone.init_cfg=None', 'model.backbone.arch._delete_=True',
    'model.backbone.arch.depths=[1,1,1,1]', 'model.backbone.arch.width=0.25',
    'model.backbone.arch.blocks=[basic,basic,bottleneck,bottleneck]', 'model.head.in_channels=512',
    'train_dataloader.dataset.pipeline.1.scale=(64,64)',
    'val_dataloader.dataset.pipeline.1.scale=(64,64)',
    'test_dataloader.dataset.pipeline.1.scale=(64,64)', 'tta_pipeline.1.scale=(64,64)',
    'train_dataloader.batch_size=16', 'optim_wrapper.accumulative_counts=2',
    *(f'{loader}_dataloader.{key}' for loader in ('train', 'val', 'test')
      for key in ('num_workers=0', 'persistent_workers=False')),
    'train_cfg.max_epochs=1', 'randomness.seed=0',
]  # fmt: skip


def run(repo_root, coco_tiny, tool, *args):
    env = dict(os.environ, COCO_ROOT=str(coco_tiny), COCO_YEAR='2017', OMP_NUM_THREADS='1')
    done = subprocess.run(
        [sys.executable, f'tools/{tool}.py', 'configs/multilabel_tresnet_m_224.py', *map(str, args),
         '--cfg-options', *SMALL],
        cwd=repo_root, env=env, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return done.stdout + done.stderr


def scores(work_dir):
    """The metrics of each evaluation that a tool logged."""
    lines = [json.loads(line) for path in sorted(work_dir.glob('*/vis_data/scalars.json'))
             for line in path.read_text().splitlines()]
    return [line for line in lines if 'multi-label/mAP' in line]


@pytest.mark.slow
def test_an_epoch_on_real_images(repo_root, coco_tiny, tmp_path):
    work_dir = tmp_path / 'train'
    run(repo_root, coco_tiny, 'train', '--work-dir', work_dir)
    (trained,) = scores(work_dir)
    assert 0 < trained['multi-label/mAP'] < 100
    best = json.loads((work_dir / 'best_weights.json').read_text())
    names = {'plain': 'multi-label/mAP', 'ema': 'multi-label/ema_mAP'}
    assert best['score'] == pytest.approx(max(trained[name] for name in names.values()), abs=0.01)
    assert best['score'] == pytest.approx(trained[names[best['weights']]], abs=0.01)

    # The file of the best weights, tested on its own, gives the score that it was kept for.
    out = tmp_path / 'scores.npz'
    run(repo_root, coco_tiny, 'test', work_dir / best['file'],
        '--work-dir', tmp_path / 'test', '--out', out)
    (tested,) = [json.loads(path.read_text()) for path in (tmp_path / 'test').glob('*/*.json')]
    assert tested['multi-label/mAP'] == pytest.approx(best['score'], abs=0.01)
    saved = np.load(out)
    assert saved['scores'].shape == saved['targets'].shape == (80, 80)
    assert (saved['targets'].sum(1) > 0).all()  # images without a label were left out

    # The last checkpoint holds the averaged weights to use and the plain ones to go on from.
    last = torch.load(work_dir / 'epoch_1.pth', weights_only=False)
    averaged, plain = last['state_dict'], last['ema_state_dict']
    moved = [key for key, value in averaged.items()
             if value.is_floating_point() and not torch.equal(value, plain[f'module.{key}'])]
    assert 'head.fc.weight' in moved
    assert any(key.endswith('running_mean') for key in moved)
