"""The wheel, what it carries and needs, and what importing says where a requirement is not met."""

import email
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from mmengine.config import Config

import tresnet_mm
from tresnet_mm import _requirements

# Names that configs elsewhere may inherit from: children of what they are called now.
FORMER = (
    'configs/fcos_tresnet_m_shapes',
    'configs/multilabel_tresnet_m_shapes',
    'configs/multilabel_tresnet_m_shapes_sparse',
    'configs/multitask_fcos_tresnet_m_shapes',
)


def run(*command: object, **options) -> subprocess.CompletedProcess:
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, **options)


@pytest.fixture(scope='session')
def site(wheel, tmp_path_factory) -> Path:
    """A folder with the installed wheel alone, its console command in ``bin``."""
    target = tmp_path_factory.mktemp('site')
    installed = run(sys.executable, '-m', 'pip', 'install', '--no-deps', '--target', target, wheel)
    assert installed.returncode == 0, installed.stderr
    return target


@pytest.fixture(scope='session')
def elsewhere(site):
    """Runs code where only the installed wheel is to be found."""
    target = site

    def python(code: str, folder: Path) -> str:
        environment = {**os.environ, 'PYTHONPATH': str(target)}
        check = f'import tresnet_mm; assert tresnet_mm.__file__.startswith({str(target)!r})'
        done = run(sys.executable, '-c', f'{check}\n{code}', cwd=folder, env=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return python


def test_wheel_carries_the_configs_and_tools(wheel, repo_root):
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {'model-index.yml'}
    for folder in ('configs', 'tools'):
        files = (f for f in (repo_root / folder).rglob('*') if f.is_file())
        expected |= {
            f.relative_to(repo_root).as_posix() for f in files if '__pycache__' not in f.parts
        }
    carried = {n.removeprefix('tresnet_mm/.mim/') for n in names if '/.mim/' in n}
    assert carried == expected
    modules = {f.relative_to(repo_root).as_posix() for f in repo_root.glob('tresnet_mm/**/*.py')}
    assert {m for m in modules if '/.mim/' not in m} <= names
    assert {name.partition('/')[0].partition('-')[0] for name in names} == {'tresnet_mm'}
    assert not [n for n in names if '__pycache__' in n]


def test_metadata(wheel):
    archive = zipfile.ZipFile(wheel)
    name = next(n for n in archive.namelist() if n.endswith('.dist-info/METADATA'))
    metadata = email.message_from_bytes(archive.read(name))
    requires = metadata.get_all('Requires-Dist')
    assert metadata['Name'] == 'tresnet_mm'
    assert metadata['Version'] == tresnet_mm.__version__
    assert metadata['Requires-Python'] == '>=3.10'
    plain = [r for r in requires if 'extra ==' not in r]
    torch, *mm = _requirements.REQUIREMENTS
    assert [r for r in plain if r.startswith('torch')] == [f'torch>={torch.minimum}']
    assert not [r for r in plain if 'mm' in r]  # pip would build mmcv without its operators
    installed = {r.partition(';')[0] for r in requires if 'mminstall' in r}
    assert installed == {f'{r.distribution}>={r.minimum}' for r in mm}
    extras = {extra.replace('_', '-') for extra in metadata.get_all('Provides-Extra')}
    assert extras == {'mminstall', 'inplace-abn', 'triton', 'eval', 'log', 'onnx', 'openvino', 's3',
                      'web', 'test', 'docs', 'dev'}


def test_wheel_works_elsewhere(elsewhere, tmp_path):
    out = elsewhere(
        'from mmengine.registry import MODELS\n'
        "print(*MODELS.build(dict(type='TResNet', arch='m', out_indices=(3,))).out_channels)",
        tmp_path,
    )
    assert out.split()[-1] == '2048'


@pytest.fixture
def console(site, tmp_path):
    """Runs the installed ``tresnet-mm`` in an empty folder, away from the checkout."""

    def command(*arguments: object, **variables: str) -> str:
        environment = {**os.environ, 'PYTHONPATH': str(site), **variables}
        done = run(site / 'bin/tresnet-mm', *arguments, cwd=tmp_path, env=environment)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
        return done.stdout

    return command


def test_console_command_knows_the_shipped_configs(console, site, tmp_path):
    assert 'tresnet-mm NAME' in console('--help')
    console('print-config', 'fcos_tresnet_tiny_shapes', '--save-path', tmp_path / 'c.py')
    assert Config.fromfile(tmp_path / 'c.py').model.type == 'FCOS'
    text = console('swap', 'mmdet::atss/atss_r50_fpn_1x_coco.py', '--arch', 'l')
    assert "arch='l'" in text


@pytest.mark.slow
def test_console_command_trains_and_tests(console, tmp_path):
    shapes = {'SHAPES_ROOT': str(tmp_path / 'shapes')}
    console('make-shapes', tmp_path / 'shapes', '--num-train', 16, '--num-val', 4)
    short = ['--cfg-options', 'train_cfg.max_epochs=1', 'param_scheduler.0.total_steps=1']
    console('train', 'fcos_tresnet_tiny_shapes', *short, **shapes)
    checkpoint = tmp_path / 'work_dirs/fcos_tresnet_tiny_shapes/epoch_1.pth'
    every_box = ['--cfg-options', 'model.test_cfg.score_thr=0']
    said = console('test', 'fcos_tresnet_tiny_shapes', checkpoint, *every_box, **shapes)
    assert 'coco/bbox_mAP' in said
    said = console('predict', tmp_path / 'shapes/val', 'fcos_tresnet_tiny_shapes', checkpoint,
                   '--out-dir', 'out', '--batch-size', 4)
    assert said.endswith('4 images: out/preds, out/vis\n')
    assert len(list((tmp_path / 'out').glob('*/*'))) == 8


@pytest.mark.parametrize(('page', 'title', 'expected'), [
    ('README.md', 'TResNet in your config', 'ATSS ATSSHead TResNet 80 CocoDataset'),
    ('docs/data.md', 'Your own', 'FCOS FCOSHead TResNet 2 CheckedCocoDataset'),
])  # fmt: skip
def test_configs_of_the_pages_can_be_used(page, title, expected, elsewhere, repo_root, tmp_path):
    section = (repo_root / page).read_text().split(f'## {title}')[1]
    (tmp_path / 'mine.py').write_text(section.split('```python\n')[1].split('```')[0])
    out = elsewhere(
        "from mmengine import Config; c = Config.fromfile('mine.py'); m = c.model\n"
        'from mmengine.registry import MODELS, init_default_scope; init_default_scope("mmdet")\n'
        'm.backbone.init_cfg = None; model = MODELS.build(m); h = m.bbox_head\n'
        'print(m.type, h.type, m.backbone.type, h.num_classes, c.train_dataloader.dataset.type)',
        tmp_path,
    )
    assert out.splitlines()[-1] == expected


def test_installed_config_is_a_base_for_others(elsewhere, tmp_path):
    (tmp_path / 'mine.py').write_text(
        "_base_ = 'tresnet_mm::fcos_tresnet_m.py'\n"
        'model = dict(bbox_head=dict(num_classes=7))\n'
    )
    out = elsewhere(
        "from mmengine import Config; c = Config.fromfile('mine.py').model\n"
        'print(c.backbone.type, c.bbox_head.num_classes, c.bbox_head.type)',
        tmp_path,
    )
    assert out.splitlines()[-1] == 'TResNet 7 FCOSHead'


def test_model_index_names_every_config(repo_root):
    from mmengine.fileio import load

    listed = []
    for metafile in load(repo_root / 'model-index.yml')['Import']:
        listed += [model['Config'] for model in load(repo_root / metafile)['Models']]
    configs = {f.relative_to(repo_root).as_posix() for f in repo_root.glob('configs/*.py')}
    assert sorted(listed) == sorted(configs - {f'{name}.py' for name in FORMER})


@pytest.mark.parametrize('name', FORMER)
def test_former_names_are_the_same_config(name, repo_root):
    old, new = (
        Config.fromfile(repo_root / f'{stem}.py').to_dict()
        for stem in (name, name.replace('_m_', '_tiny_'))
    )
    assert old == new


def test_requirements_are_met_here():
    _requirements.check_requirements()


@pytest.mark.parametrize('requirement', _requirements.REQUIREMENTS, ids=lambda r: r.module)
def test_missing_package(requirement, monkeypatch):
    monkeypatch.setitem(sys.modules, requirement.module, None)
    with pytest.raises(ImportError) as error:
        _requirements.check_requirements()
    assert str(error.value) == (
        f'tresnet_mm needs {requirement.module}>={requirement.minimum}, which is not installed; '
        f'run: {requirement.command()} '
        '(python -m tresnet_mm.doctor looks over the whole environment)'
    )


@pytest.mark.parametrize('requirement', _requirements.REQUIREMENTS, ids=lambda r: r.module)
@pytest.mark.parametrize('version', ['0.9.9rc1', '0.10.7rc2'])
def test_old_package(requirement, version, monkeypatch):
    module = __import__(requirement.module)
    monkeypatch.setattr(module, '__version__', version)
    with pytest.raises(ImportError) as error:
        _requirements.check_requirements()
    needed = f'{requirement.module}>={requirement.minimum}'
    assert f'needs {needed}, found {version}; run: {requirement.command()} -' in str(error.value)


@pytest.mark.parametrize('version', ['2.10.0', '2.3.6+cpu', '3.0.0rc1'])
def test_newer_package_passes(version, monkeypatch):
    monkeypatch.setattr(__import__('mmcv'), '__version__', version)
    _requirements.check_requirements()


def test_missing_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, 'torch', None)
    with pytest.raises(ImportError, match='tresnet_mm needs torch>=.*, which is not installed'):
        _requirements.check_requirements()


def test_mmcv_without_operators(repo_root, tmp_path):
    # A real import in a fresh process, with an mmcv as build isolation leaves it: no `_ext`.
    package = tmp_path / 'mmcv'
    (package / 'ops').mkdir(parents=True)
    (package / '__init__.py').write_text("__version__ = '2.1.0'\n")
    (package / 'ops/__init__.py').write_text('from mmcv import _ext\n')
    path = os.pathsep.join([str(tmp_path), str(repo_root)])
    done = run(sys.executable, '-c', 'import tresnet_mm', env={**os.environ, 'PYTHONPATH': path})
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith('ImportError: tresnet_mm needs mmcv with its operators')
    (mmcv,) = (r.command() for r in _requirements.REQUIREMENTS if r.module == 'mmcv')
    assert f'run: {mmcv} --no-cache-dir --force-reinstall --no-deps' in last


@pytest.mark.parametrize(('installed', 'command'), [
    (set(), 'pip install --no-build-isolation onedl-mmcv'),
    ({'onedl-mmengine'}, 'pip install --no-build-isolation onedl-mmcv'),
    ({'mmengine'}, 'pip install --no-build-isolation mmcv==2.1.0'),
])  # fmt: skip
def test_no_package_of_one_line_is_told_to_the_other(installed, command, monkeypatch):
    monkeypatch.setattr(_requirements, '_is_installed', installed.__contains__)
    (mmcv,) = (r.command() for r in _requirements.REQUIREMENTS if r.module == 'mmcv')
    assert mmcv == command


def test_a_package_that_refuses_another_is_quoted(tmp_path, repo_root):
    (tmp_path / 'mmdet').mkdir()
    (tmp_path / 'mmdet/__init__.py').write_text('assert False, "MMCV==9 is used but incompatible"')
    path = os.pathsep.join([str(tmp_path), str(repo_root)])
    done = run(sys.executable, '-c', 'import tresnet_mm', env={**os.environ, 'PYTHONPATH': path})
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith('ImportError: tresnet_mm needs mmdet>=')
    assert 'which does not import: MMCV==9 is used but incompatible (python -m ' in last


def test_broken_dependency_of_a_package_is_named(tmp_path, repo_root):
    (tmp_path / 'mmcv').mkdir()
    (tmp_path / 'mmcv/__init__.py').write_text('import not_there_at_all\n')
    path = os.pathsep.join([str(tmp_path), str(repo_root)])
    done = run(sys.executable, '-c', 'import tresnet_mm', env={**os.environ, 'PYTHONPATH': path})
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith('ImportError: tresnet_mm needs mmcv>=')
    assert "broken: No module named 'not_there_at_all'" in last
