"""The demos from end to end on a fraction of their data, and what they say on failure."""

import dataclasses
import os
import sys
from pathlib import Path

import cv2
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from tresnet_mm.commands import runs
from tresnet_mm.datasets.shapes import SHAPES_SET, make_shapes

FEW = dataclasses.replace(SHAPES_SET, num_train=32, num_val=8)
SHORT = ['train_cfg.max_epochs=1', 'param_scheduler.0.total_steps=1',
         'train_dataloader.num_workers=0', 'train_dataloader.persistent_workers=False',
         'val_dataloader.num_workers=0', 'val_dataloader.persistent_workers=False',
         'test_dataloader.num_workers=0', 'test_dataloader.persistent_workers=False',
         'default_hooks.logger.interval=1']  # fmt: skip


@pytest.fixture(autouse=True)
def tools_on_path(repo_root: Path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(repo_root / 'tools'))
    monkeypatch.chdir(repo_root)
    path = os.pathsep.join([str(repo_root), os.environ.get('PYTHONPATH', '')])
    monkeypatch.setenv('PYTHONPATH', path)


def is_picture(file: Path) -> bool:
    picture = cv2.imread(str(file))
    return picture is not None and picture.std() > 1


@pytest.mark.slow
def test_detection_demo(tmp_path: Path, monkeypatch, capsys) -> None:
    import demo

    make_shapes(tmp_path / 'shapes', FEW)
    monkeypatch.setenv('SHAPES_ROOT', str(tmp_path / 'shapes'))
    monkeypatch.setattr(demo, 'make_shapes', lambda root: make_shapes(root, FEW))
    work_dir = tmp_path / 'demo'
    mean_ap = demo.run(demo.parse_args(['--work-dir', str(work_dir), '--cfg-options', *SHORT]))
    assert 0 <= mean_ap <= 1
    assert is_picture(work_dir / 'curve.png') and is_picture(work_dir / 'detections.png')
    assert (work_dir / 'epoch_1.pth').is_file()
    assert list(work_dir.glob('*/*.log'))
    said = capsys.readouterr().out
    assert str(work_dir / 'detections.png') in said and f'{mean_ap:.3f}' in said


@pytest.mark.slow
def test_multilabel_demo(tmp_path: Path, monkeypatch, capsys) -> None:
    import demo_multilabel

    make_shapes(tmp_path / 'shapes', FEW)
    monkeypatch.setenv('SHAPES_ROOT', str(tmp_path / 'shapes'))
    monkeypatch.setattr(demo_multilabel, 'make_shapes', lambda root: make_shapes(root, FEW))
    work_dir = tmp_path / 'demo'
    arguments = ['--work-dir', str(work_dir), '--cfg-options', *SHORT]
    mean_ap = demo_multilabel.run(demo_multilabel.parse_args(arguments))
    assert 0 <= mean_ap <= 100
    assert is_picture(work_dir / 'curve.png') and is_picture(work_dir / 'labels.png')
    said = capsys.readouterr().out
    assert 'untrained' in said and f'trained {mean_ap:.2f}' in said


def test_same_seed_same_weights(tmp_path: Path, monkeypatch, repo_root: Path) -> None:
    make_shapes(tmp_path / 'shapes', FEW)
    monkeypatch.setenv('SHAPES_ROOT', str(tmp_path / 'shapes'))

    def train(name: str, seed: int) -> torch.Tensor:
        cfg = Config.fromfile(repo_root / 'configs/fcos_tresnet_tiny_shapes.py')
        cfg.train_dataloader.num_workers = 1  # the workers' random state counts too
        cfg.merge_from_dict(dict(work_dir=str(tmp_path / name), experiment_name=name,
                                 val_dataloader=None, val_cfg=None, val_evaluator=None))
        cfg.train_cfg.max_epochs = cfg.param_scheduler[0].total_steps = 1
        cfg.randomness.seed = seed
        model = Runner.from_cfg(cfg).train()
        return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])

    first = train('first', seed=0)
    assert torch.equal(first, train('second', seed=0))
    assert not torch.equal(first, train('other', seed=1))


def test_arch_options_fit_the_backbone() -> None:
    import demo

    assert demo.arch_options(None) == []
    assert demo.arch_options('m') == [
        'model.backbone.arch=m', 'model.neck.in_channels=[64,128,1024,2048]']  # fmt: skip


def test_a_missing_metric_is_a_clear_failure() -> None:
    with pytest.raises(runs.RunError, match='no coco/bbox_mAP among the metrics: time'):
        runs.metric(dict(time=1.0), 'coco/bbox_mAP')


def test_a_run_without_log_is_a_clear_failure(tmp_path: Path) -> None:
    with pytest.raises(runs.RunError, match='no run has left its log'):
        runs.scalars_file(tmp_path)


def test_the_last_run_is_the_one_that_counts(tmp_path: Path) -> None:
    for name in ('20260101_000000', '20260102_000000', 'test'):
        (tmp_path / name / 'vis_data').mkdir(parents=True)
    assert runs.scalars_file(tmp_path).parent.parent.name == '20260102_000000'


def test_a_failing_tool_is_one_message(tmp_path: Path, monkeypatch, capsys) -> None:
    import demo

    monkeypatch.setattr(demo, 'make_shapes', lambda root: None)
    monkeypatch.setattr(demo.runs, '_run', fail_as_tools_do)
    monkeypatch.setattr(sys, 'argv', ['demo.py', '--work-dir', str(tmp_path)])
    with pytest.raises(SystemExit, match='^demo: train failed$'):
        demo.main()


def fail_as_tools_do(tool: str, *args) -> None:
    raise runs.RunError(f'{tool} failed')
