"""``tresnet-mm flops``: the numbers of a table, and for which image they are."""

import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.commands.test_examples import examples
from tresnet_mm.__main__ import main
from tresnet_mm.commands.flops import count, input_size
from tresnet_mm.config_files import read_config
from tresnet_mm.models import TResNet
from tresnet_mm.models.complexity import complexity


def rows(said: str) -> dict[str, tuple[float, float]]:
    """Name of each part -> parameters in millions and multiply-adds in 10^9, as printed."""
    lines = [line.split() for line in said.splitlines()]
    start = lines.index(['parameters/M', 'multiply-adds/G'])
    return {line[0]: (float(line[1]), float(line[2])) for line in lines[start + 1:]
            if len(line) == 3}


@pytest.mark.parametrize('line', examples('flops'))
def test_the_examples_of_the_help(line, tmp_path, monkeypatch, repo_root, capsys):
    arguments = shlex.split(line)[1:]
    monkeypatch.chdir(tmp_path)
    Path('my_config.py').write_text(
        f"_base_ = '{repo_root}/configs/multitask_fcos_tresnet_tiny_shapes.py'\n")
    assert main(arguments) is None
    said = capsys.readouterr().out
    table = rows(said)
    size = {'fcos_tresnet_tiny_shapes': '128 x 128', 'multilabel_tresnet_m_224': '256 x 256',
            'my_config.py': '800 x 1344'}[arguments[1]]  # padded to a multiple of 32
    assert f'One image of {size} (height x width)' in said
    children = [name for name in table if name != 'model' and '.' not in name]
    for column in (0, 1):  # the parts sum up to the whole
        total = sum(table[name][column] for name in children)
        assert table['model'][column] == pytest.approx(total, abs=0.002 * len(children))
    assert ('detector.backbone' in table) == ('--depth' in arguments)


def test_a_classifier_is_its_backbone_and_its_head():
    model, found, shape = count(read_config('multilabel_tresnet_m_224'), 224, 224)
    assert shape == (1, 3, 224, 224)
    backbone = complexity(TResNet('m'), torch.zeros(1, 3, 224, 224)).multiply_adds
    assert found.parts['backbone'] == backbone
    assert found.multiply_adds == backbone + 2048 * 80


def test_a_joint_model_runs_its_backbone_once():
    cfg = read_config('multitask_fcos_tresnet_tiny_shapes')
    _, joint, _ = count(cfg, 128, 128)
    _, detector, _ = count(read_config('fcos_tresnet_tiny_shapes'), 128, 128)
    cells, width = 16 * 16 + 8 * 8 + 4 * 4 + 2 * 2, 64  # of the neck's four maps
    head = cells * width * (9 * width + 9 * width + 6)  # two convolutions and the logits
    assert joint.multiply_adds == detector.multiply_adds + head


@pytest.mark.slow
@pytest.mark.parametrize(('name', 'size'), [('faster_rcnn_tresnet_m', 64), ('dino_tresnet_m', 224)])
def test_two_stages_and_transformers_are_counted(name, size):
    model, found, _ = count(read_config(name), size, size)
    backbone = complexity(TResNet('m', out_indices=model.backbone.out_indices),
                          torch.zeros(1, 3, size, size)).multiply_adds
    assert found.parts['backbone'] == backbone < found.multiply_adds
    names = {name.rpartition('.')[2] for name in found.not_counted}
    assert names <= {'NMSop', 'RoIAlignFunction', 'MultiScaleDeformableAttnFunction'}


@pytest.mark.parametrize(('name', 'size', 'expected'), [
    ('fcos_tresnet_m', None, (800, 1333)), ('multilabel_tresnet_l_448', None, (448, 448)),
    ('fcos_tresnet_m', [224], (224, 224)), ('fcos_tresnet_m', [320, 640], (320, 640))])
def test_sizes(name, size, expected):
    assert input_size(read_config(name), size) == expected


@pytest.mark.parametrize(('arguments', 'message'), [
    (['multilabel_tresnet_tiny_shapes'], 'resizes to no fixed size: give --size'),
    (['fcos_tresnet_m', '--size', '1', '2', '3'], '--size takes one side or height and width, got '
     '[1, 2, 3]'),
    (['fcos_tresnet_m', '--size', '0'], 'got [0]'), (['no_config'], 'no_config does not exist'),
    (['multilabel_tresnet_tiny_shapes', '--size', '16'], 'at least 32 x 32 pixels, got 16 x 16')])
def test_a_mistake_is_one_line(arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        main(['flops', *arguments])
    assert message in str(stop.value.code) + capsys.readouterr().err


def test_what_could_not_be_counted_is_said(monkeypatch, capsys):
    def uncounted(*arguments):
        model, found, shape = count(*arguments)
        return model, replace(found, not_counted={
            'torchvision.nms': 2, 'prim::PythonOp.Opaque': 1}), shape

    monkeypatch.setattr('tresnet_mm.commands.flops.count', uncounted)
    main(['flops', 'fcos_tresnet_tiny_shapes'])
    assert capsys.readouterr().out.splitlines()[-1] == (
        'Not counted: Opaque (1 times), nms (2 times)')
