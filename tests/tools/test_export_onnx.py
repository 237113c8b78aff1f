"""``tools/export_onnx.py`` and ``tools/test.py --backend onnxruntime`` on real images."""

import json
import os
import subprocess
import sys

import pytest
import torch
from mmdet.datasets import CocoDataset
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from torch import nn

ARCH = dict(depths=(1, 1, 1, 1), width=0.25, blocks=('basic', 'basic', 'bottleneck', 'bottleneck'))
LOADER = dict(batch_size=1, num_workers=0, persistent_workers=False)


def write_config(repo_root, coco_tiny, tmp_path, name, monkeypatch):
    """A shipped config with a tiny backbone and small images, and a checkpoint for it."""
    monkeypatch.setenv('COCO_ROOT', str(coco_tiny))
    monkeypatch.setenv('COCO_YEAR', '2017')
    cfg = Config.fromfile(repo_root / 'configs' / f'{name}.py')
    cfg.model.backbone.update(arch=ARCH, init_cfg=None, frozen_stages=-1)
    cfg.test_dataloader.update(LOADER)
    pipeline = cfg.test_dataloader.dataset.pipeline
    (resize,) = [step for step in pipeline if step['type'] in ('Resize', 'AntialiasResize')]
    detection = 'bbox_head' in cfg.model
    if detection:
        cfg.model.neck.in_channels = [16, 32, 256, 512]
        resize['scale'] = (192, 128)
    else:
        cfg.model.head.in_channels = 512
        resize['scale'] = (96, 96)
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.init_weights()
    if detection:  # scores that differ, on both sides of the threshold of 0.05
        nn.init.normal_(model.bbox_head.conv_cls.weight, std=0.05)
    checkpoint = tmp_path / 'model.pth'
    torch.save(dict(state_dict=model.state_dict(), meta=dict(
        dataset_meta=dict(classes=CocoDataset.METAINFO['classes']))), checkpoint)
    config = tmp_path / f'{name}.py'
    cfg.dump(config)
    return config, checkpoint


def run(repo_root, tool, *args):
    done = subprocess.run(
        [sys.executable, str(repo_root / 'tools' / f'{tool}.py'), *map(str, args)],
        cwd=repo_root, capture_output=True, text=True, timeout=500,
        env=dict(os.environ, OMP_NUM_THREADS='1'))
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return done.stdout


def metrics(work_dir):
    (path,) = work_dir.glob('*/*.json')
    scores = json.loads(path.read_text())
    return {k: v for k, v in scores.items() if 'time' not in k}


@pytest.mark.slow
@pytest.mark.parametrize('name', ['fcos_tresnet_m', 'multilabel_tresnet_m_224'])
def test_the_file_scores_what_the_model_scores(name, repo_root, coco_tiny, tmp_path, monkeypatch):
    config, checkpoint = write_config(repo_root, coco_tiny, tmp_path, name, monkeypatch)
    exported = tmp_path / 'model.onnx'
    output = run(repo_root, 'export_onnx', config, checkpoint, '-o', exported, '--size', 96, 128,
                 '--images', coco_tiny / 'val2017')
    assert 'agrees with PyTorch on 8 images' in output
    detection = name.startswith('fcos')
    for kind, file, options in (('torch', checkpoint, []),
                                ('onnx', exported, ['--backend', 'onnxruntime'])):
        out = ['--out', tmp_path / f'{kind}.json'] if detection else []
        run(repo_root, 'test', config, file, '--work-dir', tmp_path / kind, *options, *out)
    expected, found = metrics(tmp_path / 'torch'), metrics(tmp_path / 'onnx')
    assert expected.keys() == found.keys() and expected
    for key, value in expected.items():
        if not isinstance(value, float):
            continue
        assert found[key] == pytest.approx(value, abs=0.1 if value > 1 else 1e-3), key
    if detection:
        boxes = [json.loads((tmp_path / f'{kind}.bbox.json').read_text())
                 for kind in ('torch', 'onnx')]
        assert len(boxes[0]) == len(boxes[1]) > 100
        scores = [sorted((box['image_id'], box['score']) for box in part) for part in boxes]
        for a, b in zip(*scores, strict=True):
            assert a == pytest.approx(b, abs=1e-4)


def test_a_checkpoint_that_is_absent_is_named(repo_root, tmp_path):
    done = subprocess.run(
        [sys.executable, 'tools/export_onnx.py', 'fcos_tresnet_tiny_shapes', 'absent.pth', '-o',
         str(tmp_path / 'a.onnx')], cwd=repo_root, capture_output=True, text=True)
    assert done.returncode == 2 and 'checkpoint absent.pth does not exist' in done.stderr
