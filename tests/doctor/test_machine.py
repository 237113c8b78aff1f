"""What the doctor learns of a machine: from programs that fail, and packages that end the probe."""

import importlib
import json
import os
import subprocess
import sys
from importlib import metadata

import pytest
import torch

from tresnet_mm.doctor import machine, probe


def lines(*found: dict) -> str:
    return ''.join(json.dumps(entry) + '\n' for entry in found)


def answer(monkeypatch, *outcomes) -> list[list[str]]:
    """Have programs end like ``outcomes``, one after the other; returns their command lines."""
    called: list[list[str]] = []

    def run(command, **kwargs):
        called.append(list(command))
        outcome = outcomes[len(called) - 1]
        if isinstance(outcome, Exception):
            raise outcome
        status, out, err = outcome
        return subprocess.CompletedProcess(command, status, out, err)

    monkeypatch.setattr(machine.subprocess, 'run', run)
    return called


def test_after_a_step_that_ends_the_process_the_others_follow(monkeypatch):
    called = answer(
        monkeypatch,
        (-11, lines(dict(name='torch'), dict(name='torch', version='2'), dict(name='mmcv.ops')),
         'something\nSegmentation fault\n'),
        (0, lines(dict(name='mmdet'), dict(name='mmdet', version='3')), ''))
    assert machine.probe() == {
        'torch': dict(version='2'), 'mmdet': dict(version='3'),
        'mmcv.ops': dict(error='it ended the process with status -11: Segmentation fault')}
    assert [json.loads(command[-1]) for command in called] == [[], ['torch', 'mmcv.ops']]


@pytest.mark.parametrize('printed', ['{"name": "torch"}\n', b'{"name": "torch"}\n'])
def test_a_step_that_does_not_end_is_told(printed, monkeypatch):
    answer(monkeypatch, subprocess.TimeoutExpired('probe', machine.SECONDS, output=printed),
           (0, '', ''))
    assert machine.probe() == {'torch': dict(error='it took over 300 s')}


def test_a_probe_that_does_not_start_is_not_tried_for_ever(monkeypatch):
    called = answer(monkeypatch, (1, '', 'SyntaxError: invalid syntax\n'))
    with pytest.raises(RuntimeError, match='does not start: it ended the process with status 1: '
                                           'SyntaxError: invalid syntax'):
        machine.probe()
    assert len(called) == 1


@pytest.mark.parametrize('outcome', [
    OSError('no such program'), subprocess.TimeoutExpired('nvidia-smi', 20), (9, 'failed', '')])
def test_a_program_that_fails_says_nothing(outcome, monkeypatch):
    monkeypatch.setattr(machine.shutil, 'which', lambda name: name)
    answer(monkeypatch, outcome, outcome)
    assert (machine.find_driver(), machine.find_nvcc()) == ('', '')


def test_versions_of_driver_and_nvcc(monkeypatch):
    monkeypatch.setattr(machine.shutil, 'which', lambda name: name)
    monkeypatch.setenv('CUDA_HOME', '/opt/cuda')
    called = answer(monkeypatch, (0, '550.54.15\n550.54.15\n', ''),
                    (0, 'nvcc: NVIDIA (R)\nCuda compilation tools, release 12.4, V12.4.131\n', ''))
    assert (machine.find_driver(), machine.find_nvcc()) == ('550.54.15', '12.4')
    assert called[1][0] == os.path.join('/opt/cuda', 'bin', 'nvcc')


def test_half_removed_distributions_are_passed_over(tmp_path, monkeypatch):
    for folder, text in (('a-1.0', 'Name: My_Pack.age\nVersion: 1.0\n'), ('b-2.0', 'Version: 2\n')):
        (tmp_path / f'{folder}.dist-info').mkdir()
        (tmp_path / f'{folder}.dist-info/METADATA').write_text(f'Metadata-Version: 2.1\n{text}')
    found = list(metadata.distributions(path=[str(tmp_path)]))
    assert len(found) == 2
    monkeypatch.setattr(machine.metadata, 'distributions', lambda: found)
    assert machine.find_distributions() == {'my-pack-age': '1.0'}


def test_a_module_that_is_not_there_is_named():
    with pytest.raises(ModuleNotFoundError, match="No module named 'no_such_module'") as error:
        probe._version('no_such_module')
    assert error.value.name == 'no_such_module'


def test_numpy_is_tried_with_torch_where_that_is_there(monkeypatch):
    class Torch:
        def zeros(self, count):
            raise RuntimeError('Numpy is not available')

    monkeypatch.setitem(sys.modules, 'torch', Torch())
    with pytest.raises(RuntimeError, match='Numpy is not available'):
        probe.probe_numpy()
    monkeypatch.delitem(sys.modules, 'torch')
    assert probe.probe_numpy()['version'] == importlib.import_module('numpy').__version__


def test_operators_that_give_wrong_results_do_not_work(monkeypatch):
    ops = importlib.import_module('mmcv.ops')
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    assert probe.probe_operators() == dict(devices='cpu')
    monkeypatch.setattr(ops, 'nms', lambda boxes, *_: (boxes, torch.tensor([0, 1])))
    with pytest.raises(RuntimeError, match=r'nms on cpu kept \[0, 1\] of two equal boxes, not'):
        probe.probe_operators()


def test_each_step_is_told_before_and_after(monkeypatch, capfd):
    def lacking():
        raise ModuleNotFoundError('No module named x', name='x')

    def ending():
        raise SystemExit(3)

    def noisy():
        os.write(1, b'noise of its own\n')
        return dict(version='1')

    monkeypatch.setattr(probe, 'STEPS', dict(a=lacking, b=ending, c=noisy, left_out=lacking))
    monkeypatch.setattr(sys, 'path', list(sys.path))
    monkeypatch.setattr(sys, 'argv', ['probe', json.dumps(sys.path), '["left_out"]'])
    stdout = os.dup(1)
    try:
        probe.main()
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)
    said = capfd.readouterr()
    assert said.err == 'noise of its own\n'
    assert [json.loads(line) for line in said.out.splitlines()] == [
        dict(name='a'),
        dict(name='a', error='ModuleNotFoundError: No module named x', missing='x'),
        dict(name='b'), dict(name='b', error='SystemExit: 3', missing=''),
        dict(name='c'), dict(name='c', version='1')]
