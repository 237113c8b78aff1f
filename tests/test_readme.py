"""What README alone has to keep: its length, its installation, its table (see test_docs.py)."""

import re
import shlex
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.doc_blocks import read_blocks
from tests.lines import needs_network
from tresnet_mm._requirements import REQUIREMENTS
from tresnet_mm.config_files import shipped_configs


@pytest.fixture(scope='module')
def readme(repo_root) -> str:
    return (repo_root / 'README.md').read_text()


@pytest.fixture(scope='module')
def installation(repo_root) -> list[list[str]]:
    """The lines of the manual installation, each split as a shell splits it."""
    (block,) = (block for block in read_blocks(repo_root / 'README.md')
                if block.language == 'sh' and 'onedl-mmcv' in block.text)
    return [shlex.split(line, comments=True) for line in block.text.splitlines()]


def test_it_is_short(readme):
    assert len(readme.split()) <= 900


def test_the_installation_has_everything_in_its_order(installation):
    assert all(line[:2] == ['pip', 'install'] for line in installation)
    tools, *packages, ours = installation
    # A venv of Python 3.11 has setuptools 65, which refuses the licence field of our setup.py, and
    # no packaging, which torch's extension builder imports.
    assert {'setuptools>=80', 'wheel', 'packaging', 'ninja'} <= set(tools)
    assert ours[-1] == '.'
    named = [part for line in packages for part in line[2:] if not part.startswith('-')]
    assert set(named) == {r.distribution for r in REQUIREMENTS if r.module != 'torch'}
    (mmcv,) = (line for line in packages if 'onedl-mmcv' in line)
    assert '--no-build-isolation' in mmcv


@pytest.fixture
def fresh_python(tmp_path) -> Path:
    """The interpreter of a new environment with torch and what torch needs, and nothing else."""
    installed, torch = Path(sysconfig.get_paths()['purelib']), tmp_path / 'torch'
    torch.mkdir()
    todo, seen = ['torch'], {'setuptools'}  # what comes with the environment's Python stays
    while todo:
        name = todo.pop().lower().replace('_', '-')
        if name in seen:
            continue
        seen.add(name)
        distribution = metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files} - {'..', '__pycache__'}:
            (torch / top).symlink_to(installed / top)
        needs = map(Requirement, distribution.requires or ())
        todo += [r.name for r in needs if r.marker is None or r.marker.evaluate({'extra': ''})]
    base = Path(sys.base_prefix) / 'bin' / f'python3.{sys.version_info[1]}'
    subprocess.run([base, '-m', 'venv', tmp_path / 'venv'], check=True)
    python = tmp_path / 'venv/bin/python'
    (site,) = (tmp_path / 'venv').glob('lib/python*/site-packages')
    (site / 'torch.pth').write_text(f'{torch}\n')
    return python


@needs_network
@pytest.mark.slow
def test_the_installation_can_be_followed(installation, repo_root, fresh_python):
    """Up to the compilation: the first line is done, the others are resolved and prepared."""
    for number, line in enumerate(installation):
        options = ['--dry-run'] if number else []
        done = subprocess.run(
            [fresh_python, '-m', *line, *options], cwd=repo_root, capture_output=True, text=True)
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]


def test_the_tables_configs_are_shipped(readme):
    """The first name of each cell in full; the others are endings."""
    table = readme[readme.index('| task | configs |'):].split('\n\n')[0]
    first = [name for name in re.findall(r'`(\w+)`', table) if not name.startswith('_')]
    shipped = shipped_configs()
    assert len(first) > 10
    assert [name for name in first if not any(n.startswith(name) for n in shipped)] == []
