""".dev_scripts/check_packages.py: that it tells a lacking package from a whole one."""

import importlib.util
import sys
import zipfile
from pathlib import Path

import pytest


@pytest.fixture
def script(repo_root):
    file = repo_root / '.dev_scripts/check_packages.py'
    spec = importlib.util.spec_from_file_location('check_packages', file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def wheel(tmp_path):
    def write(name: str, **files: str) -> Path:
        with zipfile.ZipFile(tmp_path / name, 'w') as archive:
            for file, text in files.items():
                archive.writestr(file, text)
        return tmp_path / name

    return write


def test_wheels_are_compared_by_their_files(script, wheel):
    one = wheel('one.whl', same='a', changed='b', lost='c')
    other = wheel('other.whl', same='a', changed='B', new='d')
    assert script.compare(one, other) == ['changed', 'lost', 'new']
    assert script.compare(one, one) == []


def test_the_links_lead_to_everything_but_this_package(script, tmp_path):
    links = {entry.name: entry for entry in script.link_dependencies(tmp_path / 'links').iterdir()}
    assert {'torch', 'mmengine', 'mmcv', 'mmdet', 'numpy'} <= set(links)
    assert links['torch'].resolve() == Path(sys.modules['torch'].__file__).parent
    assert not [name for name in links if 'tresnet' in name or name.endswith('.pth')]


def test_the_copy_has_what_git_knows_and_nothing_built(script, repo_root, tmp_path):
    if not (repo_root / '.git').exists():
        pytest.skip('needs the checkout of git')
    copy = script.copy_of_checkout(tmp_path / 'copy')
    assert (copy / 'tresnet_mm/py.typed').is_file() and (copy / 'setup.py').is_file()
    assert not list(copy.rglob('__pycache__')) and not (copy / 'tresnet_mm/.mim').exists()


def test_a_failing_program_ends_the_check_with_its_output(script):
    with pytest.raises(SystemExit, match='status 3:\nwhy\n'):
        script.run(sys.executable, '-c', 'print("why"); raise SystemExit(3)')
    with pytest.raises(SystemExit, match="no 'ok' in the output:\nbad"):
        script.expect('ok', 'bad')
