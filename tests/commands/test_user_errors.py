"""What every command makes of a user's mistake: one line that says what to do, and status 2."""

import importlib
import re
import sys

import pytest
import torch

from tresnet_mm.__main__ import main
from tresnet_mm.commands import COMMANDS
from tresnet_mm.commands.command_line import command, errors_in_one_line, is_foreseen

CONFIGS = dict(detection='fcos_tresnet_tiny_shapes', labels='multilabel_tresnet_tiny_shapes')
ARCH = ['--cfg-options', 'model.backbone.arch=k']
NAMED = "'k'"
#: name: the command line, and what a line of its errors holds. FILE is a file that holds no
#: checkpoint, IMAGE no picture, WEIGHTS a checkpoint of another model.
MISTAKES = {
    # a misspelt config
    **{f'config of {name}': ([name, *before, 'fcos_tresnet_k', *after],
                             'fcos_tresnet_k does not exist; tresnet_mm comes with fcos_tresnet_m')
       for name, before, after in [
           ('train', [], []), ('test', [], ['FILE']), ('check', [], []), ('swap', [], []),
           ('image-demo', ['IMAGE'], ['FILE']), ('export', [], ['none']),
           ('print-config', [], [])]},
    'no such package': (['print-config', 'mmnone::a.py'], "no package 'mmnone' is installed"),
    'broken config': (['print-config', 'broken.py'], 'broken.py cannot be read: SyntaxError'),
    'base of a config': (['train', 'orphan.py'], 'orphan.py cannot be read: .*nowhere.py'),
    'option of a config': (['print-config', CONFIGS['labels'], '--cfg-options', 'model.type.x=1'],
                           r"--cfg-options \{'model.type.x': 1\} do not fit"),
    # an unknown arch, an unknown class
    'arch of train': (['train', CONFIGS['labels'], *ARCH], NAMED),
    'arch of test': (['test', CONFIGS['labels'], 'WEIGHTS', *ARCH], NAMED),
    'arch of export': (['export', CONFIGS['labels'], 'none', *ARCH], NAMED),
    'arch of swap': (['swap', 'mmdet::atss/atss_r50_fpn_1x_coco.py', '--arch', 'k'],
                     "invalid choice: 'k'"),
    'arch of convert': (['convert', 'WEIGHTS', 'out.pth', '--arch', 'k'], "invalid choice: 'k'"),
    'class': (['export', CONFIGS['labels'], 'none', '--cfg-options', 'model.type=MultiLabelNet'],
              'MultiLabelNet'),
    # a missing data root, a missing file
    'data of train': (['train', CONFIGS['detection']], 'nowhere.* does not exist: set SHAPES_ROOT'),
    'data of test': (['test', CONFIGS['labels'], 'WEIGHTS'], 'set SHAPES_ROOT'),
    'data of an unchecked train': (['train', CONFIGS['labels'], '--no-check'], 'set SHAPES_ROOT'),
    'images of export': (['export', CONFIGS['labels'], 'none', '--images', 'nowhere'], 'nowhere'),
    'images of image-demo': (['image-demo', 'nowhere', CONFIGS['detection'], 'FILE'],
                             "image 'nowhere' does not exist"),
    'checkpoint of test': (['test', CONFIGS['labels'], 'a.pth'], 'checkpoint a.pth does not exist'),
    'checkpoint of check': (['check', CONFIGS['labels'], 'a.pth'], 'a.pth does not exist'),
    'checkpoint of export': (['export', CONFIGS['labels'], 'a.pth'], 'a.pth does not exist'),
    'checkpoint of convert': (['convert', 'a.pth', 'out.pth'], 'a.pth does not exist'),
    'checkpoint of image-demo': (['image-demo', 'IMAGE', CONFIGS['detection'], 'a.pth'],
                                 'checkpoint a.pth does not exist'),
    'no checkpoint': (['convert', 'FILE', 'out.pth'], 'is damaged or no checkpoint'),
    'no checkpoint to export': (['export', CONFIGS['labels'], 'FILE'], 'damaged or no checkpoint'),
    'name of a checkpoint': (['convert', 'tresnet://k', 'out.pth'], 'unknown checkpoint'),
    'scores': (['thresholds', 'a.npz', 'out.json'], 'a.npz'),
    'no scores': (['thresholds', 'FILE', 'out.json'], ''),
    'scores for priors': (['class-priors', 'a.npz', 'out.json'], 'a.npz'),
    'no scores for priors': (['class-priors', 'FILE', 'out.json'], ''),
    'tool': (['mmdet-tool', 'analyse_logs'], "no analysis tool 'analyse_logs'; it has: analyze"),
    # a wrong count
    'checkpoint of others': (['export', CONFIGS['labels'], 'WEIGHTS'],
                             'the checkpoint holds nothing'),
    'sides of export': (['export', CONFIGS['labels'], 'none', '--size', '33', '32'],
                        'multiples of 32'),
    'size of shapes': (['make-shapes', 'set', '--size', '0'], 'size'),
    'folder of shapes': (['make-shapes', 'IMAGE'], ''),
    'source of own data': (['prepare-data', 'nowhere', 'out'], 'nowhere'),
    'own data over a file': (['prepare-data', 'nowhere', 'FILE'], 'FILE is no folder'),
    'own data over a folder': (['prepare-data', 'nowhere', '.'], 'holds files already'),
    'own data into its source': (['prepare-data', '.', './out'], 'lies in the source'),
    'task of own data': (['prepare-data', '.', 'out', '--task', 'masks'], "'masks'"),
    'shares of own data': (['prepare-data', '.', 'out', '--val', '0.5', '--test', '0.5'],
                           'leave nothing to train on'),
    'no validation of own data': (['prepare-data', '.', 'out', '--val', '0'],
                                  '--val must be more than 0'),
    'share of own data': (['prepare-data', '.', 'out', '--test', '1.5'],
                          'must be at least 0 and less than 1, got 1.5'),
    'number of mistakes': (['mistakes', CONFIGS['labels'], 'FILE', '--number', '0'],
                           '--number must be at least 1, got 0'),
    'config to replay': (['replay', 'WEIGHTS'], r'\. has 2 config files, where one was expected; '
                         "name the run's by --config"),
    'changes to no config': (['class-map', 'IMAGE', 'none.safetensors', '--cfg-options', 'a=1'],
                             '--cfg-options change a config, and no config was given'),
    'folds of own data': (['prepare-data', '.', 'out', '--folds', '1'], 'at least 2, got 1'),
}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with the files that the command lines name."""
    monkeypatch.chdir(tmp_path)
    # A logger that another test began writes to that test's stream, which is closed.
    monkeypatch.setattr('logging.raiseExceptions', False)
    monkeypatch.setenv('SHAPES_ROOT', 'nowhere')
    (tmp_path / 'FILE').write_text('no checkpoint')
    (tmp_path / 'IMAGE').write_text('no picture')
    (tmp_path / 'broken.py').write_text('a = = 1')
    (tmp_path / 'orphan.py').write_text("_base_ = './nowhere.py'")
    torch.save(dict(state_dict={'a': torch.ones(1)}), tmp_path / 'WEIGHTS')
    return tmp_path


@pytest.mark.parametrize('name', MISTAKES)
def test_a_mistake_is_one_line_and_status_2(name, place, capsys):
    argv, words = MISTAKES[name]
    files = sorted(path.name for path in place.glob('[!.]*'))
    with pytest.raises(SystemExit) as stop:
        main(argv)
    said = capsys.readouterr().err
    errors = [line for line in said.splitlines() if 'error: ' in line]
    assert stop.value.code == 2 and 'Traceback' not in said, said
    assert re.match(rf'(tresnet-mm )?{argv[0]}: error: ', said.splitlines()[-1]), said
    assert any(re.search(words, line) for line in errors), said
    assert max(map(len, errors)) < 500
    assert sorted(path.name for path in place.glob('[!.]*')) == files, 'nothing is left behind'


def test_a_wrong_class_count_is_told_for_every_part(coco_tiny, monkeypatch, capsys):
    monkeypatch.setenv('COCO_ROOT', str(coco_tiny))
    with pytest.raises(SystemExit) as stop:
        main(['train', 'retinanet_tresnet_m', '--cfg-options', 'model.bbox_head.num_classes=3',
              'model.backbone.init_cfg=None'])
    errors = [line for line in capsys.readouterr().err.splitlines() if ' error: ' in line]
    assert stop.value.code == 2 and len(errors) == 1
    assert errors[0].startswith('train: error: model.bbox_head.num_classes = 3: ')


def test_a_missing_package_is_named_with_its_command(place, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'onnx', None)
    monkeypatch.delitem(sys.modules, 'tresnet_mm.commands.export_onnx', raising=False)
    with pytest.raises(SystemExit) as stop:
        main(['export', CONFIGS['labels'], 'none', '-o', 'a.onnx'])
    [line] = [line for line in capsys.readouterr().err.splitlines() if 'error' in line]
    assert stop.value.code == 2 and line.startswith('export: error: ')
    assert 'onnx' in line and 'pip install' in line


@pytest.mark.parametrize('name', [name for name in COMMANDS if name != 'mmdet-tool'])
def test_every_command_takes_debug(name, capsys):
    with pytest.raises(SystemExit):
        importlib.import_module(f'tresnet_mm.commands.{COMMANDS[name][0]}').main(['--help'])
    assert '--debug' in capsys.readouterr().out


@pytest.mark.parametrize('argv', [
    ['print-config', 'fcos_tresnet_k', '--debug'], ['mmdet-tool', '--debug', 'none'],
    ['convert', 'none.pth', 'a.pth', '--debug']])
def test_debug_shows_the_traceback(argv, place):
    with pytest.raises(FileNotFoundError):
        main(argv)


@command('sample')
def sample(argv):
    if argv[0] == 'door':
        with errors_in_one_line('sample', ZeroDivisionError):
            return 1 / 0
    return {'bug': lambda: 1 / 0, 'type': lambda: None + 1, 'key': lambda: {}['a'],
            'raised elsewhere': lambda: exec('raise ValueError("from a library")', {}),
            'number': lambda: int('x'),
            'assertion': lambda: exec('assert False, "cannot be"', {'__name__': argv[1]}),
            'package': lambda: importlib.import_module('no_such_package.part')}[argv[0]]()


@pytest.mark.parametrize(('what', 'kind'), [
    ('bug', ZeroDivisionError), ('type', TypeError), ('key', KeyError),
    ('raised elsewhere', ValueError), ('number', ValueError)])
def test_a_bug_keeps_its_traceback(what, kind):
    with pytest.raises(kind):
        sample([what])


def test_an_assertion_is_foreseen_in_mmengine_and_a_bug_in_this_package(capsys):
    with pytest.raises(AssertionError):
        sample(['assertion', 'tresnet_mm.models.tresnet'])
    with pytest.raises(SystemExit):
        sample(['assertion', 'mmengine.config.config'])
    assert capsys.readouterr().err == 'sample: error: cannot be\n'


def test_an_error_that_nobody_raised_is_not_foreseen():
    assert not is_foreseen(ValueError('made, and handed on'))


def test_how_to_install_a_missing_package_is_said(capsys):
    with pytest.raises(SystemExit):
        sample(['package'])
    assert capsys.readouterr().err == (
        "sample: error: No module named 'no_such_package'; install it: pip install "
        'no_such_package\n')


def test_a_step_can_name_what_it_expects(capsys):
    with pytest.raises(SystemExit) as stop:
        sample(['door'])
    assert (stop.value.code, capsys.readouterr().err) == (2, 'sample: error: division by zero\n')
    with pytest.raises(ZeroDivisionError):
        sample(['door', '--debug'])
