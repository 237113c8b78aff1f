"""Single-label training from end to end: shapes in folders of classes, learnt and tested."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tresnet_mm.inference import Inferencer

ROOT = Path(__file__).resolve().parent.parent.parent
#: Each class mostly has its own colour, so that a few steps are enough to learn them.
CLASSES = dict(circle=(220, 60, 60), cross=(60, 200, 60), square=(70, 70, 220))
CONFIG = """
_base_ = '{root}/configs/imagenet_tresnet_m.py'
model = dict(backbone=dict(_delete_=True, type='TResNet', out_indices=(3,), arch=dict(
    depths=(1, 1, 1, 1), width=0.25, blocks=('basic', 'basic', 'bottleneck', 'bottleneck'))),
    head=dict(in_channels=512, num_classes=3))
pipeline = [dict(type='LoadImageChecked'), dict(type='PackSingleLabelInputs')]
common = dict(_delete_=True, type='ImageFolderSingleLabel', data_root='{data}', pipeline=pipeline)
train_dataloader = dict(batch_size=16, num_workers=0, persistent_workers=False,
                        dataset=dict(data_prefix=dict(img='train'), **common))
val_dataloader = dict(batch_size=16, num_workers=0, persistent_workers=False,
                      dataset=dict(data_prefix=dict(img='val'), test_mode=True, **common))
test_dataloader = val_dataloader
optim_wrapper = dict(_delete_=True, type='OptimWrapper', optimizer=dict(type='Adam', lr=2e-3))
param_scheduler = []
custom_hooks = []
train_cfg = dict(max_epochs=3, val_interval=3)
randomness = dict(seed=0)
"""


def draw(folder: Path, number: int, rng: np.random.Generator) -> None:
    for name, color in CLASSES.items():
        (folder / name).mkdir(parents=True)
        for i in range(number):
            image = Image.new('RGB', (64, 64), tuple(rng.integers(0, 90, 3).tolist()))
            x, y, r = (*rng.integers(24, 40, 2).tolist(), int(rng.integers(12, 20)))
            pen = ImageDraw.Draw(image)
            if name == 'circle':
                pen.ellipse((x - r, y - r, x + r, y + r), fill=color)
            elif name == 'square':
                pen.rectangle((x - r, y - r, x + r, y + r), fill=color)
            else:
                pen.line((x - r, y, x + r, y), fill=color, width=5)
                pen.line((x, y - r, x, y + r), fill=color, width=5)
            image.save(folder / name / f'{i}.png')


def run(*args: str, cwd: Path) -> str:
    env = dict(os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1')
    done = subprocess.run([sys.executable, *args], cwd=cwd, env=env, text=True,
                          capture_output=True, timeout=300)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout + done.stderr


@pytest.mark.slow
def test_train_test_and_predict(tmp_path):
    rng = np.random.default_rng(0)
    draw(tmp_path / 'data/train', 48, rng)
    draw(tmp_path / 'data/val', 16, rng)
    config = tmp_path / 'config.py'
    config.write_text(CONFIG.format(root=ROOT, data=tmp_path / 'data'))
    run(str(ROOT / 'tools/train.py'), str(config), '--work-dir', 'work', cwd=tmp_path)
    run(str(ROOT / 'tools/test.py'), str(config), 'work/epoch_3.pth', '--work-dir', 'test',
        cwd=tmp_path)
    (found,) = (tmp_path / 'test').glob('*/*.json')
    result = json.loads(found.read_text())
    assert result['single-label/top1'] > 80  # chance is 33
    assert result['single-label/top3'] == 100

    command = ('-m', 'tresnet_mm', 'test', str(config), 'work/epoch_3.pth', '--work-dir', 'views')
    run(*command, '--tta', '--out', 'views.npz', '--show-dir', 'drawn', cwd=tmp_path)
    assert len(list((tmp_path / 'views').glob('*/drawn/*.png'))) == 48
    run('-m', 'tresnet_mm', 'mistakes', str(config), 'views.npz', cwd=tmp_path)
    assert (tmp_path / 'mistakes/confusion.png').is_file()

    run('-m', 'tresnet_mm', 'publish', 'work/epoch_3.pth', 'out', cwd=tmp_path)
    (published,) = tmp_path.glob('out*/*.safetensors')
    image = tmp_path / 'data/val/circle/0.png'
    answers = [predict(str(image))[0] for predict in (
        Inferencer(str(config), str(tmp_path / 'work/epoch_3.pth'), device='cpu'),
        Inferencer(str(published), device='cpu'))]
    with np.load(tmp_path / 'views.npz') as views:
        place = views['images'].tolist().index(str(image))
        averaged, target = views['scores'][place], views['targets'][place]
    mirrored = Inferencer(str(published), device='cpu')(
        np.array(Image.open(image))[:, ::-1, ::-1].copy())[0]
    np.testing.assert_allclose(averaged, [
        (answers[1]['scores'][name] + mirrored['scores'][name]) / 2 for name in CLASSES], atol=1e-5)
    assert target.tolist() == [1, 0, 0]
    for answer in answers:
        assert [label['label'] for label in answer['labels']] == ['circle']
        assert sum(answer['scores'].values()) == pytest.approx(1)
    assert answers[0]['scores'] == pytest.approx(answers[1]['scores'], abs=1e-6)
