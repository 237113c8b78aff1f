"""``tresnet-mm`` and ``python -m tresnet_mm``: the list, the hand-over, and unknown names."""

import importlib
import subprocess
import sys

import pytest

from tresnet_mm.__main__ import main
from tresnet_mm.commands import COMMANDS


@pytest.mark.parametrize('argv', [[], ['-h'], ['--help']])
def test_all_commands_are_listed(argv, capsys):
    assert main(argv) is None
    lines = capsys.readouterr().out.splitlines()[2:]
    assert [line.split()[0] for line in lines] == list(COMMANDS)
    assert all(len(line) <= 100 and len(line.split()) > 2 for line in lines)


@pytest.mark.parametrize('name', COMMANDS)
def test_every_command_has_a_main_and_a_parser_of_its_name(name, capsys):
    module = importlib.import_module(f'tresnet_mm.commands.{COMMANDS[name][0]}')
    assert module.__doc__
    if name == 'mmdet-tool':  # hands all its arguments on
        return
    with pytest.raises(SystemExit) as stop:
        module.main(['--help'])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith(f'usage: tresnet-mm {name} ')


@pytest.mark.parametrize(('name', 'hint'), [('tran', 'did you mean train?'), ('xyz', 'known are')])
def test_an_unknown_name_is_one_line_and_status_2(name, hint, capsys):
    assert main([name]) == 2
    said = capsys.readouterr()
    assert said.out == ''
    [line] = said.err.splitlines()
    assert line.startswith(f"tresnet-mm: error: no command '{name}'; ") and hint in line


def test_names_may_have_underscores(capsys):
    with pytest.raises(SystemExit) as stop:
        main(['make_shapes', '--help'])
    assert stop.value.code == 0
    assert 'tresnet-mm make-shapes' in capsys.readouterr().out


def test_the_list_itself_imports_no_framework(repo_root):
    """Both files run on their own, without the package around them."""
    code = (
        'import runpy, sys, types\n'
        'package = types.ModuleType("tresnet_mm"); package.__path__ = ["tresnet_mm"]\n'
        'sys.modules["tresnet_mm"] = package\n'
        'sys.argv = ["tresnet-mm", "--help"]\n'
        'try: runpy.run_module("tresnet_mm.__main__", run_name="__main__")\n'
        'except SystemExit as stop: assert not stop.code\n'
        'loaded = {name.partition(".")[0] for name in sys.modules}\n'
        'assert not loaded & {"torch", "mmengine", "mmcv", "mmdet", "numpy"}, loaded\n'
    )
    done = subprocess.run(
        [sys.executable, '-c', code], cwd=repo_root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert 'train' in done.stdout


def test_module_and_exit_status(repo_root):
    done = subprocess.run([sys.executable, '-m', 'tresnet_mm', 'print-config', 'no_such_config'],
                          cwd=repo_root, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.strip() == (
        'print-config: error: config file no_such_config does not exist')
