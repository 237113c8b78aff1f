"""Every command's help has examples, and they can be run."""

import dataclasses
import importlib
import re
import shlex

import mmcv
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from tresnet_mm.__main__ import main
from tresnet_mm.commands import COMMANDS
from tresnet_mm.datasets.shapes import SHAPES_SET, make_shapes

DETECTION, LABELS = 'fcos_tresnet_tiny_shapes', 'multilabel_tresnet_tiny_shapes'
#: What stands in an example -> what stands for it here: small models, files made below.
SMALLER = {
    'fcos_tresnet_m': DETECTION, 'configs/fcos_tresnet_m.py': DETECTION,
    'multilabel_tresnet_m_224': LABELS, 'CONFIG': DETECTION, 'configs/mine.py': 'mine.py',
    'my_config.py': 'mine.py', 'CHECKPOINT': 'detection.pth',
    'work_dirs/mine/epoch_12.pth': 'detection.pth', 'IMAGE_OR_FOLDER': 'image.png',
    'model.bbox_head.num_classes=3': 'model.bbox_head.num_classes=6',
    'configs/mine_tresnet_l.py': 'swapped.py', 'model.backbone.arch=l': 'model.backbone.arch=m',
}
SHORT = [
    'train_cfg.max_epochs=1', 'param_scheduler.0.total_steps=1', 'train_dataloader.batch_size=2',
    *(f'{loader}_dataloader.{option}' for loader in ('train', 'val', 'test')
      for option in ('num_workers=0', 'persistent_workers=False'))]
#: Command -> what is added to its example to keep it short.
MORE = {
    'train': ['--cfg-options', *SHORT], 'test': ['--cfg-options', *SHORT],
    'make-shapes': ['--num-train', '2', '--num-val', '1', '--size', '64'],
    'export': ['--size', '64', '64'], 'image-demo': ['--device', 'cpu'],
}
#: Examples that are not run here, by how they begin, and why.
NOT_RUN = {
    'bash tools/dist_': 'several processes: tests/test_tools.py',
    'python tools/train.py configs/fcos_tresnet_m.py --amp': 'float16 needs a GPU',
    'python tools/test.py configs/fcos_tresnet_m.py MODEL.onnx': 'tests/tools/test_export_onnx.py',
    'python tools/test.py configs/fcos_tresnet_m.py CHECKPOINT --tta': 'tests/test_tools.py',
    'tresnet-mm export': 'takes long: tests/tools/test_export_onnx.py',
    'tresnet-mm convert tresnet://': 'a download',
    'tresnet-mm convert tresnet_l.pth': 'a published file: tests/checkpoint/test_files.py',
    'tresnet-mm mmdet-tool confusion_matrix': 'draws for long',
    'tresnet-mm mmdet-tool coco_error_analysis': 'draws for long',
    'tresnet-mm mmdet-tool analyze_logs': 'wants a log',
    'tresnet-mm swap configs/mine.py': 'the stand-in has no ResNet',
    'tresnet-mm replay': 'wants a run that stopped',
    'tresnet-mm predict': 'tests/commands/test_predict.py',
    'tresnet-mm class-map': 'tests/commands/test_class_map.py',
    'tresnet-mm test CONFIG CHECKPOINT --out scores.npz': 'stands for the step before mistakes',
    'tresnet-mm mistakes': 'tests/commands/test_mistakes.py',
    'tresnet-mm train multilabel_tresnet_m_224 --log': 'tests/commands/test_run_logging.py',
    'tresnet-mm browse': 'tests/commands/test_browse.py',
    'tresnet-mm plot': 'tests/commands/test_plot.py',
    'tresnet-mm flops': 'tests/commands/test_flops.py',
    'tresnet-mm video': 'tests/commands/test_video.py',
    'tresnet-mm publish': 'tests/commands/test_publish.py',
}


def examples(name: str) -> list[str]:
    """The command lines of a command's help, without their comments."""
    module = importlib.import_module(f'tresnet_mm.commands.{COMMANDS[name][0]}')
    block = module.__doc__.partition('Examples:\n')[2].partition('\n\n')[0].replace('\\\n', ' ')
    return [' '.join(line.split('#')[0].split()) for line in block.splitlines() if line.strip()]


ALL = {line: name for name in COMMANDS for line in examples(name)}


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """A folder with what the examples name."""
    folder = tmp_path_factory.mktemp('examples')
    make_shapes(folder / 'shapes', dataclasses.replace(
        SHAPES_SET, num_train=2, num_val=1, size=64))
    path = importlib.import_module('tresnet_mm.config_files').find_config(DETECTION)
    (folder / 'mine.py').write_text(f'_base_ = {str(path)!r}\n')
    init_default_scope('mmdet')
    model = MODELS.build(Config.fromfile(path).model)
    torch.save(dict(state_dict=model.state_dict(), meta=dict(dataset_meta=dict(
        classes=tuple(SHAPES_SET.class_names)))), folder / 'detection.pth')
    mmcv.imwrite(np.full((64, 64, 3), 90, np.uint8), str(folder / 'image.png'))
    np.savez(folder / 'scores.npz', scores=np.eye(2, dtype=np.float32),
             targets=np.eye(2, dtype=np.int8), classes=np.array(['a', 'b']))
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


@pytest.mark.parametrize('line', ALL)
def test_the_example_runs(line, files, tmp_path, monkeypatch, capsys):
    for start, reason in NOT_RUN.items():
        if line.startswith(start):
            pytest.skip(reason)
    name = ALL[line]
    words = shlex.split(line)
    assert words[0] == 'tresnet-mm' or re.fullmatch(r'tools/\w+\.py', words[1])
    arguments = [SMALLER.get(word, word) for word in words[2:]]
    more = MORE.get(name, [])
    if '--cfg-options' in arguments:
        more = more[1:]
    for path in files.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('SHAPES_ROOT', str(files / 'shapes'))
    if name == 'make-shapes':  # writes data/shapes: not into the folder of the others
        (tmp_path / 'empty').mkdir()
        monkeypatch.chdir(tmp_path / 'empty')
    try:
        status = main([name, *arguments, *more])
    except SystemExit as stop:
        status = stop.code
    assert not status, capsys.readouterr()


def test_what_is_not_run_is_there():
    """A reason whose example is gone goes, too."""
    assert [start for start in NOT_RUN if not any(line.startswith(start) for line in ALL)] == []
