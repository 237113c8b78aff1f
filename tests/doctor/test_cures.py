"""The commands for machines other than this one, and the tables of compiled mmcv."""

import pytest

from tests.doctor.made_up_machines import machine
from tresnet_mm.doctor import checks, cures, wheels


@pytest.mark.parametrize(('torch', 'cuda', 'system', 'expected'), [
    ((2, 1), '12.1', 'Linux', 'https://download.openmmlab.com/mmcv/dist/cu121/torch2.1.0/index.html'),
    ((2, 1), '11.8', 'Windows', 'https://download.openmmlab.com/mmcv/dist/cu118/torch2.1.0/index.html'),
    ((2, 1), '', 'Darwin', 'https://download.openmmlab.com/mmcv/dist/cpu/torch2.1.0/index.html'),
    ((2, 4), '', 'Linux', 'https://download.openmmlab.com/mmcv/dist/cpu/torch2.4.0/index.html'),
    ((2, 1), '12.2', 'Linux', ''),
    ((2, 4), '', 'Windows', ''),
    ((2, 5), '12.1', 'Linux', ''),
    ((2, 10), '', 'Linux', ''),
])  # fmt: skip
def test_official_wheels(torch, cuda, system, expected):
    assert wheels.official_page(system, 'x86_64', torch, cuda) == expected


def test_wheels_are_for_x86():
    assert wheels.official_page('Linux', 'aarch64', (2, 1), '') == ''
    assert wheels.official_page('Darwin', 'arm64', (2, 1), '') != ''  # universal there
    assert wheels.onedl_page('Linux', 'aarch64', (2, 8), '') == ''


@pytest.mark.parametrize(('torch', 'cuda', 'expected'), [
    ((2, 10), '12.9', 'https://mmwheels.onedl.ai/cu129-torch2100/simple/onedl-mmcv/'),
    ((2, 8), '', 'https://mmwheels.onedl.ai/cpu-torch280/simple/onedl-mmcv/'),
    ((2, 9), '12.8', ''),
    ((2, 13), '', ''),
])  # fmt: skip
def test_onedl_wheels(torch, cuda, expected):
    assert wheels.onedl_page('Linux', 'x86_64', torch, cuda) == expected


@pytest.mark.parametrize(('torch', 'there', 'official'), [
    ('2.1.2', [], True),
    ('2.3.1', [], True),
    ('2.4.0', [], False),
    ('2.4.0', ['mmcv'], True),
    ('2.5.0', ['mmcv'], False),
    ('2.1.2', ['onedl-mmcv'], True),  # which asks for torch 2.4
    ('2.4.0', ['onedl-mmcv'], False),
    ('', [], False),
    ('', ['mmengine'], True),
])  # fmt: skip
def test_the_line_that_fits(torch, there, official):
    assert cures.is_official(machine(torch, distributions=dict.fromkeys(there, '1'))) == official


def test_of_the_official_line_the_tested_versions_are_installed():
    old = machine('2.1.2')
    assert cures.mm(old, 'mmdet') == ['/e/bin/python -m pip install --upgrade mmdet==3.3.0']
    assert cures.mmcv(old)[0] == (
        '/e/bin/python -m pip install --only-binary mmcv -f '
        'https://download.openmmlab.com/mmcv/dist/cpu/torch2.1.0/index.html mmcv==2.1.0')


def test_a_gpu_needs_the_nvcc_of_its_cuda():
    gpu = machine('2.13.0+cu130', cuda='13.0', gpu='H100', driver='580')
    assert cures.mmcv(gpu)[0] == (
        '# the CUDA 13.0 toolkit, whose nvcc compiles the operators for the GPU')
    for fitting in (gpu._replace(nvcc='13.1'), machine('2.13.0+cpu', nvcc='12.1')):
        assert not [command for command in cures.mmcv(fitting) if 'nvcc' in command]
    assert cures.mmcv(gpu._replace(nvcc='12.8')) == cures.mmcv(gpu)


def test_a_compiler_is_named_where_there_is_none():
    said = {system: cures.mmcv(machine('2.13.0', system=system, compiler=''))[0]
            for system in ('Linux', 'Darwin', 'Windows')}
    assert 'apt-get install g++' in said['Linux']
    assert said['Darwin'] == 'xcode-select --install'
    assert 'Visual Studio' in said['Windows']


def test_a_wheel_for_the_cpu_is_taken_only_without_a_driver():
    assert cures.torch(machine('')) == [
        '/e/bin/python -m pip install --upgrade torch --index-url '
        'https://download.pytorch.org/whl/cpu']
    assert cures.torch(machine('', driver='550.54')) == [
        '/e/bin/python -m pip install --upgrade torch']
    assert cures.torch(machine('', driver='550.54', distributions=dict(mmengine='0.10.7'))) == [
        '/e/bin/python -m pip install torch==2.1.2', "/e/bin/python -m pip install 'numpy<2'"]


def test_a_path_with_blanks_is_quoted():
    assert cures.mm(machine(python='/my env/bin/python'), 'mmengine') == [
        "'/my env/bin/python' -m pip install --upgrade onedl-mmengine"]


@pytest.mark.parametrize(('error', 'said'), [
    ('ImportError: libcudart.so.11.0: cannot open shared object file', "torch's, which is 12.8"),
    ('RuntimeError: nms_impl: implementation for device cuda:0 not found.', 'for the CPU alone'),
    ('ImportError: DLL load failed while importing _ext', 'compiled for another torch than 2.8.0'),
    ('RuntimeError: something else', 'do not work: RuntimeError: something else'),
])  # fmt: skip
def test_why_the_operators_do_not_work(error, said):
    broken = machine('2.8.0', cuda='12.8', gpu='H100')
    broken.modules.update({'mmengine': dict(version='0.10.12'), 'mmdet': dict(version='3.5.1'),
                           'mmcv': dict(version='2.3.6'), 'mmcv.ops': dict(error=error)})
    [finding] = [f for f in checks.check_mm(broken) if f.verdict == 'problem']
    assert said in finding.text and finding.commands


@pytest.mark.parametrize(('torch', 'cuda', 'gpu', 'driver', 'verdict', 'said'), [
    ('2.8.0', '12.8', 'H100', '570', 'ok', 'torch uses H100'),
    ('2.8.0', '12.8', '', '570', 'note', 'torch sees no GPU'),
    ('2.8.0+cpu', '', '', '570', 'note', 'leaves the GPU unused'),
    ('2.8.0', '12.8', '', '', 'ok', 'all runs on the CPU'),
])  # fmt: skip
def test_cuda(torch, cuda, gpu, driver, verdict, said):
    [finding] = checks.check_cuda(machine(torch, cuda=cuda, gpu=gpu, driver=driver))
    assert finding.verdict == verdict and said in finding.text


def test_old_python():
    [finding] = checks.check_python(machine(version=(3, 9, 18)))
    assert finding.verdict == 'problem' and '3.10 or newer is needed' in finding.text


def test_a_broken_optional_package_is_a_problem_and_a_missing_one_is_not():
    there = machine('2.8.0', distributions={'inplace-abn': '1.1.0'})
    there.modules['inplace_abn'] = dict(error='ImportError: undefined symbol: x', missing='')
    findings = {f.topic: f for f in checks.check_optional(there)}
    assert findings['inplace-abn'].verdict == 'problem'
    assert findings['inplace-abn'].commands == (
        '/e/bin/python -m pip install --no-build-isolation --no-cache-dir --force-reinstall '
        "--no-deps 'inplace-abn>=1.1.0'",)
    assert findings['[web]'].verdict == 'note'
    assert findings['[web]'].commands == ("/e/bin/python -m pip install 'gradio>=6.31'",)


def test_two_opencvs_of_different_versions_are_noted():
    there = machine(distributions={'opencv-python': '4.11.0.86',
                                   'opencv-python-headless': '4.10.0.84'})
    there.modules['cv2'] = dict(version='4.10.0')
    [finding] = checks.check_opencv(there)
    assert finding.verdict == 'note' and 'of two versions in one folder' in finding.text
