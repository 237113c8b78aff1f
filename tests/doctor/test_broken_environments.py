"""The doctor in environments that lack something: what it finds, and which commands it gives."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.doctor.environments import OFFICIAL, ONEDL, Environment

pytestmark = pytest.mark.skipif(
    (platform.system(), platform.machine()) != ('Linux', 'x86_64'),
    reason='needs Linux on x86_64: the commands are those for it')
OFFICIAL_PAGE = 'https://download.openmmlab.com/mmcv/dist/cu121/torch2.1.0/index.html'
ONEDL_PAGE = 'https://mmwheels.onedl.ai/cu128-torch280/simple/onedl-mmcv/'


@pytest.fixture
def environment(tmp_path, repo_root) -> Environment:
    """An empty one, run by this Python without its packages."""
    folder = tmp_path / 'packages'
    folder.mkdir()
    return Environment(folder, Path(sys.executable), repo_root)


@pytest.fixture
def venv(tmp_path, repo_root) -> Environment:
    """A new virtual environment without any package, pip included."""
    subprocess.run([sys.executable, '-m', 'venv', '--without-pip', str(tmp_path / 'venv')],
                   check=True)
    (tmp_path / 'packages').mkdir()
    return Environment(tmp_path / 'packages', tmp_path / 'venv/bin/python', repo_root)


def test_nothing_is_installed(venv):
    found = venv.problems()
    assert list(found) == ['torch', 'numpy', 'mmengine', 'mmcv', 'mmdet', 'opencv', 'dependencies']
    assert {f['text'] for topic, f in found.items() if topic != 'dependencies'} == {
        'is not installed'}
    [command] = found['torch']['commands']
    assert command.startswith(venv.pip('install --upgrade torch'))
    assert found['mmengine']['commands'] == [venv.pip('install --upgrade onedl-mmengine')]
    text = venv.run('-m', 'tresnet_mm.doctor')
    assert text.returncode == 1 and text.stderr == ''
    assert f'{venv.python} -m ensurepip --upgrade' in text.stdout
    assert text.stdout.splitlines()[-1] == f'Problems: {", ".join(found)}, tresnet_mm'


@pytest.mark.parametrize('program', [['-m', 'tresnet_mm', 'doctor'], ['tresnet-mm', 'doctor']])
def test_the_command_finds_the_same(program, venv):
    if program[0] != '-m':  # the script as pip writes it
        venv.write('tresnet-mm', 'import sys\nfrom tresnet_mm.__main__ import main\n'
                   'sys.exit(main())\n')
    plain, command = venv.run('-m', 'tresnet_mm.doctor'), venv.run(*program)
    assert command.stdout == plain.stdout
    assert (command.returncode, command.stderr) == (1, '')


def test_importing_the_package_names_the_doctor(venv):
    done = venv.run('-c', 'import tresnet_mm')
    assert done.stderr.splitlines()[-1] == (
        'ImportError: tresnet_mm needs torch>=2.1, which is not installed; run: pip install torch '
        '(python -m tresnet_mm.doctor looks over the whole environment)')


@pytest.mark.parametrize(('line', 'cuda'), [(OFFICIAL, '12.1'), (ONEDL, None)])
def test_what_fits_is_no_problem(line, cuda, environment):
    environment.fill(line, cuda)
    assert environment.problems() == {}


def test_torch_is_missing(environment):
    environment.fill({name: ONEDL[name] for name in ONEDL if name != 'torch'})
    found = environment.problems()
    assert list(found) == ['torch', 'mmengine', 'mmcv', 'mmdet']
    assert found['mmengine']['text'] == 'is there, and does not import without torch'
    assert found['mmengine']['commands'] == []


def test_mmcv_without_operators_beside_the_official_line(environment):
    environment.fill(OFFICIAL, cuda='12.1')
    environment.write('mmcv/ops/__init__.py', 'from mmcv import _ext\nimport mmcv._ext\n')
    environment.write('mmcv/_ext.py', "raise ModuleNotFoundError(\"No module named 'mmcv._ext'\")")
    [(topic, finding)] = environment.problems().items()
    assert (topic, finding['text']) == ('mmcv', '2.1.0 was built without its operators')
    wheel, remark, tools, compiled = finding['commands']
    anew = '--force-reinstall --no-deps'
    assert wheel == environment.pip(f'install {anew} --only-binary mmcv -f {OFFICIAL_PAGE} '
                                    'mmcv==2.1.0')
    assert remark.startswith('# or, where that page has no wheel')
    assert tools == environment.pip("install 'setuptools<70' wheel packaging ninja")
    assert compiled == environment.pip(
        f'install --no-cache-dir --no-build-isolation {anew} mmcv==2.1.0')


def test_mmcv_for_another_torch(environment):
    environment.fill(ONEDL, cuda='12.8')
    environment.write('mmcv/ops/__init__.py',
                      "raise ImportError('_ext.so: undefined symbol: _ZN3c106detail')")
    [(topic, finding)] = environment.problems().items()
    assert topic == 'mmcv'
    assert finding['text'].startswith(
        '2.3.6 has operators that were compiled for another torch than 2.8.0 (')
    assert finding['commands'][0] == environment.pip(
        'install --force-reinstall --no-deps --only-binary onedl-mmcv -f '
        f'{ONEDL_PAGE} onedl-mmcv')


def test_a_torch_without_wheels_has_mmcv_compiled(environment):
    environment.fill({**ONEDL, 'torch': ('torch', '2.13.0')})
    environment.write('mmcv/ops/__init__.py', "raise ImportError('undefined symbol: x')")
    commands = environment.problems()['mmcv']['commands']
    assert not [command for command in commands if '-f http' in command]
    assert commands[-1] == environment.pip('install --no-cache-dir --no-build-isolation '
                                           '--force-reinstall --no-deps onedl-mmcv')


def test_packages_of_both_lines(environment):
    environment.fill({**OFFICIAL, 'mmengine': ONEDL['mmengine']}, cuda='12.1')
    [(topic, finding)] = environment.problems().items()
    assert topic == 'line'
    assert finding['text'] == (
        "packages of both lines write the same folders: OpenMMLab's mmcv 2.1.0, mmdet 3.3.0; "
        "OneDL's onedl-mmengine 0.10.12")
    uninstall, *_, last = finding['commands']
    assert uninstall == environment.pip('uninstall --yes mmcv mmdet onedl-mmengine')
    assert last == environment.pip('install mmengine==0.10.7 mmdet==3.3.0')
    assert [c for c in finding['commands'] if c.endswith(f'-f {OFFICIAL_PAGE} mmcv==2.1.0')]


def test_the_official_line_beside_a_new_torch_gives_way_to_the_other(environment):
    environment.fill({**OFFICIAL, 'torch': ('torch', '2.8.0')}, cuda='12.8')
    environment.write('mmcv/ops/__init__.py', "raise ImportError('undefined symbol: x')")
    found = environment.problems()
    assert list(found) == ['line', 'mmcv']
    assert 'go with torch 2.1 and do not work beside torch 2.8.0' in found['line']['text']
    assert found['line']['commands'][0].endswith('uninstall --yes mmengine mmcv mmdet')
    assert found['line']['commands'][1].endswith(f'-f {ONEDL_PAGE} onedl-mmcv')
    assert found['line']['commands'][-1].endswith('install onedl-mmengine onedl-mmdetection')
    assert found['mmcv']['commands'] == []


def test_mmcv_lite_over_mmcv(environment):
    environment.fill(OFFICIAL)
    environment.describe('mmcv-lite', '2.1.0')
    [(topic, finding)] = environment.problems().items()
    assert topic == 'line' and finding['text'].startswith('mmcv-lite 2.1.0 writes the same folder')


def test_mmdet_is_too_old_and_numpy_too_new(environment):
    environment.fill({**OFFICIAL, 'mmdet': ('mmdet', '3.0.0'), 'numpy': ('numpy', '2.2.6')})
    found = environment.problems()
    assert list(found) == ['numpy', 'mmdet']
    assert found['numpy']['text'] == (
        '2.2.6 does not fit torch 2.1.2, which is compiled for NumPy 1')
    assert found['numpy']['commands'] == [environment.pip(
        "install 'numpy<2' 'opencv-python<4.12'")]
    assert found['mmdet']['text'] == '3.0.0 is older than 3.3.0'
    assert found['mmdet']['commands'] == [environment.pip('install --upgrade mmdet==3.3.0')]


def test_operators_that_end_the_process(environment):
    environment.fill(ONEDL)
    environment.write('mmcv/ops/__init__.py', 'import os\nos.abort()\n')
    found = environment.problems()
    assert found['mmcv']['text'] == (
        '2.3.6 has operators that do not work: it ended the process with status -6')


def test_operators_that_keep_the_wrong_box(environment):
    environment.fill(ONEDL)
    environment.write('mmcv/ops/__init__.py', """
def nms(boxes, scores, threshold):
    class Kept:
        tolist = staticmethod(lambda: [0, 1])
    return boxes, Kept
""")
    assert 'nms on cpu kept [0, 1]' in environment.problems()['mmcv']['text']


def test_opencv_without_its_libraries(environment):
    environment.fill(ONEDL)
    environment.write('cv2/__init__.py', "raise ImportError('libGL.so.1: cannot open')")
    [(topic, finding)] = environment.problems().items()
    assert topic == 'opencv' and 'libGL.so.1' in finding['text']
    assert finding['commands'] == [environment.pip(
        'install --force-reinstall --no-deps opencv-python-headless==4.12.0.88')]


def test_a_missing_dependency(environment):
    environment.fill(ONEDL)
    (environment.folder / 'defusedxml/__init__.py').unlink()
    (environment.folder / 'defusedxml').rmdir()
    [(topic, finding)] = environment.problems().items()
    assert (topic, finding['text']) == ('dependencies', 'missing: defusedxml')
    assert finding['commands'] == [environment.pip('install defusedxml')]


@pytest.mark.slow
def test_the_real_packages_without_the_compiled_part(venv):
    """The installed ones, whose mmcv has all its files but the library of the operators."""
    import mmcv

    mmcv_there, site = Path(mmcv.__file__).parent, Path(torch.__file__).parents[1]
    (venv.folder / 'mmcv').mkdir()
    for file in mmcv_there.iterdir():
        if not file.name.startswith('_ext') and file.name != '__pycache__':
            (venv.folder / 'mmcv' / file.name).symlink_to(file)
    [library] = (venv.python.parents[1] / 'lib').glob('python*/site-packages')
    (library / 'linked.pth').write_text(f'{site}\n')
    [(topic, finding)] = venv.problems().items()
    assert topic == 'mmcv'
    assert finding['text'] == f'{mmcv.__version__} was built without its operators'
    assert '--no-build-isolation' in finding['commands'][-1]


@pytest.mark.slow
def test_this_environment_is_well(repo_root, tmp_path):
    done = subprocess.run(
        [sys.executable, '-m', 'tresnet_mm.doctor', '--json'], cwd=tmp_path, capture_output=True,
        text=True, env={**os.environ, 'PYTHONPATH': str(repo_root)})
    said = json.loads(done.stdout)
    assert [f for f in said['findings'] if f['verdict'] == 'problem'] == []
    assert said['ok'] and done.returncode == 0
    found = {f['topic']: f['text'] for f in said['findings']}
    assert found['torch'].startswith(torch.__version__)
    assert 'nms ran on cpu' in found['mmcv']
