"""Two iterations of the Open Images and NUS-WIDE configs on files in the original formats."""

import os
import subprocess
import sys

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from tresnet_mm import preflight

SMALL = [
    'model.backbone.init_cfg=None', 'model.backbone.arch._delete_=True',
    'model.backbone.arch.depths=[1,1,1,1]', 'model.backbone.arch.width=0.25',
    'model.backbone.arch.blocks=[basic,basic,bottleneck,bottleneck]', 'model.head.in_channels=512',
    'model.head.num_classes=3', 'train_dataloader.batch_size=4', 'train_cfg.max_epochs=1',
    *(f'{loader}_dataloader.{key}' for loader in ('train', 'val', 'test')
      for key in ('num_workers=0', 'persistent_workers=False', 'dataset.pipeline.1.scale=(64,64)')),
]  # fmt: skip
CONFIGS = dict(openimages='multilabel_openimages_tresnet_m_224',
               nuswide='multilabel_nuswide_tresnet_l_448')


def images(folder, names):
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in names:
        Image.fromarray(rng.integers(0, 255, (40, 60, 3), np.uint8)).save(folder / f'{name}.jpg')


def openimages(root):
    (root / 'oidv6-class-descriptions.csv').write_text('/m/1,Cat\n/m/2,Dog\n/m/3,Cow\n/m/4,Pig\n')
    (root / 'oidv6-classes-trainable.txt').write_text('/m/1\n/m/2\n/m/3\n')
    for split, prefix in (('train', 'oidv6-'), ('validation', ''), ('test', '')):
        names = [f'{i:016x}' for i in range(8)]
        images(root / split, names)
        rows = [f'{name},verification,/m/{1 + (i + k) % 4},{k % 2}\n'
                for i, name in enumerate(names) for k in range(2)]
        (root / f'{prefix}{split}-annotations-human-imagelabels.csv').write_text(
            'ImageID,Source,LabelName,Confidence\n' + ''.join(rows))


def nuswide(root):
    images(root / 'Flickr/actor', [f'{i:04}' for i in range(8)])
    for folder in ('ImageList', 'Groundtruth/TrainTestLabels', 'ConceptsList'):
        (root / folder).mkdir(parents=True)
    (root / 'ConceptsList/Concepts81.txt').write_text('airport\nanimal\nbeach\n')
    for split in ('Train', 'Test'):
        (root / f'ImageList/{split}Imagelist.txt').write_text(
            ''.join(f'actor\\{i:04}.jpg\n' for i in range(8)))
        for c, name in enumerate(('airport', 'animal', 'beach')):
            (root / f'Groundtruth/TrainTestLabels/Labels_{name}_{split}.txt').write_text(
                ''.join(f'{int(i % 3 == c)}\n' for i in range(8)))


@pytest.mark.parametrize('kind', CONFIGS)
def test_the_check_knows_the_data(kind, repo_root, tmp_path, monkeypatch):
    globals()[kind](tmp_path)
    monkeypatch.setenv(f'{kind.upper()}_ROOT', str(tmp_path))
    cfg = Config.fromfile(repo_root / f'configs/{CONFIGS[kind]}.py')
    said = '\n'.join(str(problem) for problem in preflight(cfg))
    assert f'{cfg.model.head.num_classes}' in said and 'num_classes' in said, said
    cfg.model.head.num_classes = 3
    assert 'num_classes' not in '\n'.join(str(problem) for problem in preflight(cfg))


@pytest.mark.slow
@pytest.mark.parametrize('kind', CONFIGS)
def test_two_iterations(kind, repo_root, tmp_path):
    globals()[kind](tmp_path)
    env = dict(os.environ, OMP_NUM_THREADS='1', **{f'{kind.upper()}_ROOT': str(tmp_path)})
    done = subprocess.run(
        [sys.executable, 'tools/train.py', f'configs/{CONFIGS[kind]}.py', '--work-dir',
         str(tmp_path / 'work'), '--cfg-options', *SMALL],
        cwd=repo_root, env=env, capture_output=True, text=True, timeout=500)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-4000:]
    assert 'multi-label/mAP' in said
    assert (tmp_path / 'work/epoch_1.pth').is_file()
