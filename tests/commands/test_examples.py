"""Every command's help has examples, and they can be run."""

import dataclasses
import importlib
import json
import os
import re
import shlex
import shutil
from pathlib import Path

import cv2
import mmcv
import numpy as np
import pytest
import torch
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import save_checkpoint

from tests.checkpoint.conftest import linear_head, make_backbone, official_keys
from tests.own_data import make_own_data
from tresnet_mm.__main__ import main
from tresnet_mm.commands import COMMANDS
from tresnet_mm.config_files import find_config, read_config
from tresnet_mm.datasets.shapes import SHAPES_SET, make_shapes
from tresnet_mm.evaluation import save_thresholds

DETECTION, LABELS, BOTH = (
    'fcos_tresnet_tiny_shapes', 'multilabel_tresnet_tiny_shapes',
    'multitask_fcos_tresnet_tiny_shapes')
STOPPED = 'not_finite_epoch_0_iter_1.pth'
#: What stands in an example -> what stands for it here: small models, files made below.
SMALLER = {
    'fcos_tresnet_m': DETECTION, 'configs/fcos_tresnet_m.py': DETECTION,
    'multilabel_tresnet_m_224': LABELS, 'multilabel_tresnet_l_448': LABELS, 'CONFIG': DETECTION,
    'configs/mine.py': 'mine.py', 'my_config.py': 'mine.py', 'CHECKPOINT': 'detection.pth',
    'epoch_6.pth': 'detection.pth', 'epoch_12.pth': 'detection.pth', 'best.pth': 'labels.pth',
    'work_dirs/mine/epoch_12.pth': 'detection.pth', 'epoch_40.pth': 'both.pth',
    'work_dirs/fcos_tresnet_m/best_coco_bbox_mAP_epoch_12.pth': 'detection.pth',
    'work_dirs/my_config/not_finite_epoch_3_iter_1207.pth': f'work_dirs/my_config/{STOPPED}',
    'not_finite_epoch_3_iter_1207.pth': f'work_dirs/my_config/{STOPPED}',
    'SOURCE': 'own_data', 'IMAGE_OR_FOLDER': 'image.png', 'FOLDER': 'photos',
    'photo.jpg': 'photos/a.jpg', 'out/net-0123abcd.safetensors': 'published.safetensors',
    'val2017': 'photos', 'train2017': 'photos', 'cat': 'circle', 'dog': 'square',
    'clip.mp4': 'clip.avi',
    'work_dirs/fcos_tresnet_tiny_shapes': 'work_dirs/a', 'LOG_DIR/vis_data/scalars.json':
    'work_dirs/a/20260101_000000/vis_data/scalars.json', 'coco/bbox_mAP_50': 'coco/bbox_mAP',
    'model.bbox_head.num_classes=3': 'model.bbox_head.num_classes=6',
    'model.backbone.arch=l': 'model.backbone.arch=m',
}
SHORT = [
    'train_cfg.max_epochs=1', 'param_scheduler.0.total_steps=1', 'train_dataloader.batch_size=2',
    *(f'{loader}_dataloader.{option}' for loader in ('train', 'val', 'test')
      for option in ('num_workers=0', 'persistent_workers=False'))]
#: Command -> what is added to its example to keep it short.
MORE = {
    'train': ['--cfg-options', *SHORT], 'test': ['--cfg-options', *SHORT],
    'browse': ['--cfg-options', *SHORT], 'calibrate': ['--cfg-options', *SHORT],
    'make-shapes': ['--num-train', '2', '--num-val', '1', '--size', '64'],
    'export': ['--size', '64', '64'], 'image-demo': ['--device', 'cpu'],
}
#: Examples that are not run here, by how they begin, and why.
NOT_RUN = {
    'bash tools/dist_': 'several processes: tests/test_tools.py',
    'python tools/train.py configs/fcos_tresnet_m.py --amp': 'float16 needs a GPU',
    'python tools/test.py configs/fcos_tresnet_m.py MODEL.onnx': 'tests/tools/test_export_onnx.py',
    'python tools/test.py configs/fcos_tresnet_m.py CHECKPOINT --tta': 'tests/test_tools.py',
    'tresnet-mm predict photos multilabel_tresnet_m_224 MODEL.onnx':
        'an exported file: tests/inference/test_inferencer.py',
    'tresnet-mm convert tresnet://': 'a download',
    'tresnet-mm publish hf://': 'a download',
    'tresnet-mm calibrate my_joint.py': 'named heads: tests/commands/test_named_heads.py',
    'tresnet-mm class-map photo.jpg my_joint.py':
        'named heads: tests/commands/test_named_heads.py',
    'tresnet-mm thresholds scores.npz thresholds.json --head':
        'named heads: tests/commands/test_named_heads.py',
    'tresnet-mm publish epoch_40.pth out/ --thresholds thresholds.json --thresholds':
        'named heads: tests/commands/test_named_heads.py',
    'tresnet-mm mmdet-tool confusion_matrix': 'draws for long',
    'tresnet-mm mmdet-tool coco_error_analysis': 'draws for long',
    'tresnet-mm swap configs/mine.py': 'the stand-in has no ResNet',
    'tresnet-mm web': 'a server: tests/web/test_browser.py',
    'tresnet-mm train multilabel_tresnet_m_224 --log': 'tests/commands/test_run_logging.py',
}
#: Commands of which no example is run here, and why.
NONE_RUN = {'web': 'a server, which does not end'}


def examples(name: str) -> list[str]:
    """The command lines of a command's help, without their comments."""
    module = importlib.import_module(f'tresnet_mm.commands.{COMMANDS[name][0]}')
    block = module.__doc__.partition('Examples:\n')[2].partition('\n\n')[0].replace('\\\n', ' ')
    return [' '.join(line.split('#')[0].split()) for line in block.splitlines() if line.strip()]


ALL = [*dict.fromkeys(line for name in COMMANDS for line in examples(name))]


def reason_not_to_run(line: str) -> str | None:
    return next((why for start, why in NOT_RUN.items() if line.startswith(start)), None)


def save_model(file: Path, config: str) -> None:
    """An untrained model's checkpoint, with the meta that mmengine's runner writes."""
    cfg = read_config(config)
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(cfg.model)
    meta = dict(cfg=cfg.pretty_text, dataset_meta=dict(classes=tuple(SHAPES_SET.class_names)))
    save_checkpoint(dict(state_dict=model.state_dict(), meta=meta), str(file))


def save_log(run: Path) -> None:
    """What mmengine logs of a run of two steps."""
    log = run / '20260101_000000/vis_data/scalars.json'
    log.parent.mkdir(parents=True)
    terms = dict(lr=0.1, loss=1.0, loss_cls=0.5, loss_bbox=0.5, epoch=1)
    records = [dict(terms, iter=1, step=1), dict(terms, iter=2, step=2),
               {'coco/bbox_mAP': 0.5, 'step': 1}]
    log.write_text(''.join(f'{json.dumps(record)}\n' for record in records))


def save_video(file: Path) -> None:
    written = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*'MJPG'), 10, (64, 64))
    for number in range(12):
        written.write(np.full((64, 64, 3), 20 * number, np.uint8))
    written.release()


def save_stopped_run(folder: Path) -> None:
    """A run whose loss is not finite in its second step."""
    with pytest.raises(SystemExit, match='is not finite'):
        main(['train', DETECTION, '--work-dir', str(folder), '--cfg-options', *SHORT,
              'train_dataloader.batch_size=1', 'optim_wrapper.optimizer.lr=1e9'])
    assert (folder / STOPPED).is_file()


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """A folder with what the examples name."""
    folder = tmp_path_factory.mktemp('examples')
    make_shapes(folder / 'shapes', dataclasses.replace(
        SHAPES_SET, num_train=2, num_val=2, size=64))
    make_own_data(folder / 'own_data', 8)
    (folder / 'mine.py').write_text(f'_base_ = {str(find_config(DETECTION))!r}\n')
    for file, config in (('detection', DETECTION), ('labels', LABELS), ('both', BOTH)):
        save_model(folder / f'{file}.pth', config)
    for image in ('image.png', 'photos/a.jpg', 'more_photos/b.png'):
        mmcv.imwrite(np.full((64, 64, 3), 90, np.uint8), str(folder / image))
    save_video(folder / 'clip.avi')
    backbone = make_backbone()
    torch.save(official_keys(backbone.state_dict()) | linear_head(backbone.out_channels[-1]),
               folder / 'tresnet_l.pth')
    for run in 'ab':
        save_log(folder / 'work_dirs' / run)
    save_thresholds(folder / 'thresholds.json', [0.5] * 6, SHAPES_SET.class_names)
    (folder / 'test').mkdir()
    (folder / 'test/20260101.json').write_text('{"multi-label/mAP": 50.0}')
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv('SHAPES_ROOT', str(folder / 'shapes'))
        main(['export', DETECTION, 'detection.pth', '-o', 'fcos.onnx', '--size', '64', '64'])
        main(['publish', 'both.pth', 'published'])
        next(folder.glob('published/*.safetensors')).rename('published.safetensors')
        main(['test', BOTH, 'both.pth', '--out', 'scores.npz', '--out', 'coco.json',
              '--cfg-options', *SHORT])
        save_stopped_run(folder / 'work_dirs/my_config')
    return folder


@pytest.mark.parametrize('name', COMMANDS)
def test_every_command_has_an_example_of_itself(name, capsys):
    found = examples(name)
    assert found, f'{name} has none'
    assert any(line.split()[:2] == ['tresnet-mm', name] for line in found)
    try:
        main([name, '--help'])
    except SystemExit as stop:
        assert not stop.code
    help_text = ' '.join(capsys.readouterr().out.replace('\\\n', ' ').split())
    assert all(line in help_text for line in found)


def copy(source: str, target: str) -> None:
    """Copy a file; weights, which are large and not written to, are linked."""
    (os.link if source.endswith(('.pth', '.safetensors')) else shutil.copy)(source, target)


@pytest.mark.parametrize('line', ALL)
def test_the_example_runs(line, files, tmp_path, monkeypatch, capsys):
    if reason := reason_not_to_run(line):
        pytest.skip(reason)
    program, first, *words = shlex.split(line)
    tool = re.fullmatch(r'tools/(\w+)\.py', first)
    assert program == 'tresnet-mm' or tool
    name = tool[1] if tool else first
    arguments = [SMALLER.get(word, word) for word in words]
    more = MORE.get(name, [])
    if '--cfg-options' in arguments:
        more = more[1:]
    shutil.copytree(files, tmp_path, copy_function=copy, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('SHAPES_ROOT', str(files / 'shapes'))
    if name == 'make-shapes':  # writes data/shapes: not into the folder of the others
        (tmp_path / 'empty').mkdir()
        monkeypatch.chdir(tmp_path / 'empty')
    try:
        status = main([name, *arguments, *more])
    except SystemExit as stop:
        status = stop.code
    said = capsys.readouterr()
    if name == 'mmdet-tool' and "No module named 'seaborn'" in said.err:
        pytest.skip("seaborn is not installed, which the official mmdet's analyze_logs imports")
    assert not status, said


def test_what_is_not_run_is_there():
    """A reason whose example is gone goes, too."""
    assert [start for start in NOT_RUN if not any(line.startswith(start) for line in ALL)] == []


def test_every_command_has_an_example_that_is_run():
    without = {name for name in COMMANDS if not any(
        line.split()[:2] == ['tresnet-mm', name] and not reason_not_to_run(line)
        for line in examples(name))}
    assert without == set(NONE_RUN)
