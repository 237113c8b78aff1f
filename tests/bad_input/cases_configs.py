# ruff: noqa: E501 - a case is one line
"""Bad configs and options of the command line."""

from pathlib import Path

from tests.bad_input.case import Case, handled, refused
from tresnet_mm.commands import train
from tresnet_mm.models import TResNet

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
BASE = f"_base_ = '{CONFIGS / 'fcos_tresnet_m.py'}'\n"


def write(name: str, text: str):
    return lambda folder: (folder / name).write_text(text)


def nothing(folder):
    return None


def read(name: str, *options: str):
    """What `train` does with a config before anything is built."""
    def run(folder):
        return train.build_config(train.parse_args([str(folder / name), *options])).filename == str(folder / name)
    return run


def backbone(**settings):
    return lambda folder: TResNet(**settings).out_channels


CASES = [
    Case('config: none there', nothing, read('x.py'), refused(FileNotFoundError, 'x.py', 'does not exist')),
    Case('config: a folder', lambda folder: (folder / 'x.py').mkdir(), read('x.py'), refused(FileNotFoundError, 'x.py')),
    Case('config: misspelt', write('x.py', 'model = dict(\n'), read('x.py'), refused(ValueError, 'x.py', 'SyntaxError')),
    Case('config: raises', write('x.py', 'a = [][1]\n'), read('x.py'), refused(ValueError, 'x.py', 'IndexError')),
    Case('config: base missing', write('x.py', "_base_ = 'y.py'\n"), read('x.py'), refused(FileNotFoundError, 'x.py', 'y.py')),
    Case('config: base of an unknown package', write('x.py', "_base_ = 'nowhere::a/y.py'\n"), read('x.py'), refused(ValueError, 'x.py', 'nowhere')),
    Case('config: of another kind', write('x.txt', 'a = 1'), read('x.txt'), refused(ValueError, 'x.txt', 'py/yml/yaml/json')),
    Case('config: JSON cut off', write('x.json', '{"model": '), read('x.json'), refused(ValueError, 'x.json', 'JSONDecodeError')),
    Case('config: YAML that would run code', write('x.yaml', 'a: !!python/object/apply:os.getcwd []\n'), read('x.yaml'), refused(ValueError, 'x.yaml', 'could not determine a constructor')),
    Case('config: YAML that would import', write('x.yml', 'a: !!python/name:os.system\n'), read('x.yml'), refused(ValueError, 'x.yml', 'could not determine a constructor')),
    Case('config: annotation file missing', write('x.py', BASE + "data_root = '/nowhere/'\nmodel = dict(backbone=dict(init_cfg=None))\ntrain_dataloader = dict(dataset=dict(data_root=data_root))\n"), read('x.py', '--no-check'), refused(FileNotFoundError, '/nowhere/annotations')),
    Case('config: weights to start from missing', write('x.py', BASE + "load_from = 'nowhere.pth'\n"), read('x.py'), refused(FileNotFoundError, 'nowhere.pth')),
    Case('option: into a number', write('x.py', 'a = 1\n'), read('x.py', '--cfg-options', 'a.b=2'), refused(ValueError, '--cfg-options', 'a.b')),
    Case('option: no such list entry', write('x.py', 'a = [1]\n'), read('x.py', '--cfg-options', 'a.5=2'), refused(ValueError, '--cfg-options', 'a.5')),
    Case('option: scaling without a base batch size', write('x.py', 'model = dict(backbone=dict())\n'), read('x.py', '--auto-scale-lr'), refused(ValueError, '--auto-scale-lr', 'x.py')),
    Case('option: checkpointing without a backbone', write('x.py', 'model = dict()\n'), read('x.py', '--grad-checkpoint'), refused(ValueError, '--grad-checkpoint')),
    Case('backbone: unknown arch', nothing, backbone(arch='xxl'), refused(ValueError, "'xxl'", 'known are')),
    Case('backbone: custom arch without depths', nothing, backbone(arch=dict(width=1.0)), refused(ValueError, 'depths')),
    Case('backbone: depths of another length', nothing, backbone(arch=dict(depths=(1, 1))), refused(ValueError, 'depths', '(1, 1)')),
    Case('backbone: endless depth', nothing, backbone(arch=dict(depths=(10**9, 1, 1, 1))), refused(ValueError, 'depths', '1000000000')),
    Case('backbone: endless width', nothing, backbone(arch=dict(depths=(1, 1, 1, 1), width=1e9)), refused(ValueError, 'width', '1000000000.0')),
    Case('backbone: width as text', nothing, backbone(arch=dict(depths=(1, 1, 1, 1), width='2')), refused(ValueError, 'width', "'2'")),
    Case('backbone: depths as text', nothing, backbone(arch=dict(depths='1111')), refused(ValueError, 'depths', "'1111'")),
    Case('backbone: no such stage', nothing, backbone(out_indices=(4,)), refused(ValueError, 'out_indices', '(4,)')),
    Case('backbone: a small custom arch', nothing, backbone(arch=dict(depths=(1, 1, 1, 1), width=0.25)), handled((16, 32, 256, 512))),
]
