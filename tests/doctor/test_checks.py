"""What the doctor says of machines that lack one thing, and the commands for it."""

import json

import pytest

from tests.doctor.made_up_machines import ONEDL_DISTRIBUTIONS, machine, missing, whole
from tresnet_mm.doctor import checks, report

PIP = '/e/bin/python -m pip'
BROKEN = dict(error='ImportError: it is damaged', missing='')


def problems(there) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {f.topic: (f.text, f.commands) for f in checks.examine(there) if f.verdict == 'problem'}


def test_a_whole_line_has_no_problem():
    found = {f.topic: (f.verdict, f.text) for f in checks.examine(whole())}
    assert problems(whole()) == {}
    assert found['torch'] == ('ok', '2.8.0, made for the CPU')
    assert found['line'] == ('ok', "OneDL's")
    assert found['mmcv'] == ('ok', '2.3.6; nms ran on cpu')
    assert found['opencv'] == ('ok', '4.12.0 (opencv-python 4.12.0.88)')
    assert found['tresnet_mm'] == ('ok', '1.0 imports')


@pytest.mark.parametrize(('modules', 'topic', 'text', 'command'), [
    (dict(torch=missing('torch')), 'torch', 'is not installed',
     f'{PIP} install --upgrade torch --index-url https://download.pytorch.org/whl/cpu'),
    (dict(torch=BROKEN), 'torch', 'is there, and does not import: ImportError: it is damaged',
     f'{PIP} install --upgrade torch --index-url https://download.pytorch.org/whl/cpu'),
    (dict(torch=dict(version='2.0.1')), 'torch', '2.0.1 is older than 2.1',
     f'{PIP} install --upgrade torch --index-url https://download.pytorch.org/whl/cpu'),
    (dict(numpy=missing('numpy')), 'numpy', 'is not installed', f'{PIP} install --upgrade numpy'),
    (dict(numpy=BROKEN), 'numpy',
     '2.2.6: is there, and does not import: ImportError: it is damaged',
     f'{PIP} install --upgrade numpy'),
    (dict(torch=dict(version='2.2.2')), 'numpy',
     '2.2.6 does not fit torch 2.2.2, which is compiled for NumPy 1',
     f"{PIP} install 'numpy<2' 'opencv-python<4.12'"),
    (dict(mmdet=missing('mmdet')), 'mmdet', 'is not installed',
     f'{PIP} install --upgrade onedl-mmdetection'),
    (dict(mmengine=dict(version='0.9.0')), 'mmengine', '0.9.0 is older than 0.10.7',
     f'{PIP} install --upgrade onedl-mmengine'),
    (dict(mmcv_ops=dict(error='x', missing='mmcv.ops')), 'mmcv',
     '2.3.6 was built without its operators',
     f'{PIP} install --no-cache-dir --no-build-isolation --force-reinstall --no-deps onedl-mmcv'),
    (dict(cv2=missing('cv2')), 'opencv', 'opencv-python 4.12.0.88: is not installed',
     f'{PIP} install --force-reinstall --no-deps opencv-python-headless==4.12.0.88'),
    (dict(PIL=BROKEN), 'Pillow', 'is there, and does not import: ImportError: it is damaged',
     f'{PIP} install --force-reinstall --no-deps Pillow'),
    (dict(PIL=missing('PIL'), defusedxml=missing('defusedxml')), 'dependencies',
     'missing: Pillow, defusedxml', f'{PIP} install Pillow defusedxml'),
])
def test_one_thing_is_wrong(modules, topic, text, command):
    found_text, commands = problems(whole(**modules))[topic]
    assert (found_text, commands[-1]) == (text, command)


def test_what_is_broken_by_the_lack_of_another_gets_no_command():
    found = problems(whole(torch=missing('torch'), mmengine=missing('torch')))
    assert found['mmengine'] == ('is there, and does not import without torch', ())


def test_why_the_package_does_not_import_is_told():
    assert problems(whole(tresnet_mm=dict(error='ImportError: x'))) == {
        'tresnet_mm': ('ImportError: x', ())}


def test_mmcv_waits_for_torch():
    there = whole(torch=missing('torch'), mmcv=missing('mmcv'), mmcv_ops=missing('mmcv'))
    assert problems(there)['mmcv'] == ('is not installed', (
        '# needs torch, which it is compiled for: run the doctor again with torch there',))


@pytest.mark.parametrize(('distributions', 'operators', 'text'), [
    ({'mmcv': '2.1.0', 'onedl-mmengine': '0.10.12'}, dict(devices='cpu'),
     "packages of both lines write the same folders: OpenMMLab's mmcv 2.1.0; OneDL's "
     'onedl-mmengine 0.10.12'),
    ({**ONEDL_DISTRIBUTIONS, 'mmcv-lite': '2.1.0'}, dict(devices='cpu'),
     'mmcv-lite 2.1.0 writes the same folder as mmcv, and has no operators for it'),
    ({'mmcv': '2.1.0', 'mmdet': '3.3.0'}, BROKEN,
     "OpenMMLab's own packages (mmcv 2.1.0, mmdet 3.3.0) go with torch 2.1 and do not work beside "
     "torch 2.8.0; OneDL's do"),
])
def test_a_mixture_of_packages_is_taken_away_as_a_whole(distributions, operators, text):
    """Then mmcv's own topic has no command: the line's commands bring it anew."""
    found = problems(whole(distributions, mmcv_ops=operators))
    said, commands = found.pop('line')
    there = ' '.join(name for name in (
        'mmcv', 'mmdet', 'onedl-mmengine', 'onedl-mmcv', 'onedl-mmdetection', 'mmcv-lite')
        if name in distributions)
    assert said == text
    assert commands[0] == f'{PIP} uninstall --yes {there}'
    assert commands[-1] == f'{PIP} install onedl-mmengine onedl-mmdetection'
    assert [commands for _, commands in found.values()] == [()] * len(found)


@pytest.mark.parametrize(('distributions', 'line'), [
    ({'mmengine': '0.10.7'}, "OpenMMLab's own"), ({}, 'no mm package is installed yet')])
def test_the_line_is_named(distributions, line):
    [finding] = checks.check_line(machine('2.1.2', distributions=distributions))
    assert (finding.verdict, finding.text) == ('ok', line)


def test_without_pip_its_command_is_given():
    [finding] = checks.check_python(machine(has_pip=False))
    assert (finding.verdict, finding.commands) == (
        'note', ('/e/bin/python -m ensurepip --upgrade',))


def test_what_no_step_looked_for_is_known_by_its_distribution():
    modules = {name: found for name, found in whole().modules.items() if name != 'matplotlib'}
    bare = whole()._replace(modules=modules)
    assert problems(bare) == {
        'dependencies': ('missing: matplotlib', (f'{PIP} install matplotlib',))}
    assert problems(bare._replace(
        distributions={**ONEDL_DISTRIBUTIONS, 'matplotlib': '3.9'})) == {}


def test_the_report(monkeypatch, capsys):
    monkeypatch.setattr(report, 'look', lambda: whole(mmdet=missing('mmdet')))
    assert report.run() == 1
    *_, blank, title, empty, topic, command, end_blank, end = capsys.readouterr().out.splitlines()
    assert (title, topic.strip(), command.strip(), end) == (
        'To be mended, in this order:', 'mmdet: is not installed',
        f'{PIP} install --upgrade onedl-mmdetection', 'Problems: mmdet')
    assert blank == empty == end_blank == ''
    monkeypatch.setattr(report, 'look', whole)
    assert report.run() == 0
    text = capsys.readouterr().out
    assert text.endswith('\nNo problem found.\n') and 'To be mended' not in text
    assert report.run(as_json=True) == 0
    assert json.loads(capsys.readouterr().out)['ok'] is True
