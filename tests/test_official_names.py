"""What is taken from mmengine, mmcv and mmdet exists in both lines, whichever is installed."""

import ast
import importlib.util
import json
import re
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType

import pytest

PARTS = ('tresnet_mm', 'tools', 'benchmarks')
EXEMPT = 'tresnet_mm/_compat.py'  # whose entries say what takes the place of a missing name

#: The names of a module, or None where there is none.
Names = Callable[[str], 'list[str] | None']


@pytest.fixture(scope='module')
def recorder(repo_root) -> ModuleType:
    file = repo_root / '.dev_scripts/record_official_names.py'
    spec = importlib.util.spec_from_file_location('record_official_names', file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='module')
def recorded(recorder) -> dict:
    return json.loads(recorder.FILE.read_text())


@pytest.fixture(scope='module')
def lines(recorder, recorded) -> dict[str, Names]:
    packages = {name: recorder.Package(name) for name in recorder.PACKAGES}

    def official(module: str) -> 'list[str] | None':
        names = recorded['modules'].get(module)
        return None if names is None else names.split()

    return {'official': official,
            'installed': lambda module: packages[module.split('.')[0]].names(module)}  # fmt: skip


def lacking(source: str, names: Names, packages: tuple[str, ...]) -> Iterator[str]:
    """Each name that ``source`` takes from the packages and that they do not have."""
    tree = ast.parse(source)
    bound: dict[str, str] = {}  # name in the source -> the module that it stands for
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split('.')[0] not in packages:
                    continue
                if names(alias.name) is None:
                    yield f'{node.lineno}: no module {alias.name}'
                name = alias.name if alias.asname else alias.name.split('.')[0]
                bound[alias.asname or name] = name
        elif isinstance(node, ast.ImportFrom) and not node.level:
            if node.module.split('.')[0] not in packages:
                continue
            known = names(node.module)
            for alias in node.names:
                if known is None or alias.name not in known:
                    yield f'{node.lineno}: no {alias.name} in {node.module}'
                elif names(f'{node.module}.{alias.name}') is not None:
                    bound[alias.asname or alias.name] = f'{node.module}.{alias.name}'
    for node in ast.walk(tree):
        module, *attributes = dotted(node)
        if module not in bound:
            continue
        module = bound[module]
        for name in attributes:
            if name not in (names(module) or ()) and not name.startswith('__'):
                yield f'{node.lineno}: no {name} in {module}'
            if names(f'{module}.{name}') is None:
                break
            module = f'{module}.{name}'


def dotted(node: ast.AST) -> list[str]:
    """``a.b.c`` as its parts; [''] for anything else."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    return [node.id, *parts] if isinstance(node, ast.Name) else ['']


@pytest.mark.parametrize('line', ['official', 'installed'])
def test_every_name_that_is_taken_exists(line, lines, recorder, repo_root):
    files = [f for part in PARTS for f in repo_root.joinpath(part).rglob('*.py')
             if '.mim' not in f.parts and f != repo_root / EXEMPT]  # fmt: skip
    assert len(files) > 100
    missing = [f'{file.relative_to(repo_root)}:{what}' for file in files
               for what in lacking(file.read_text(), lines[line], recorder.PACKAGES)]  # fmt: skip
    assert not missing, '\n'.join(missing)


def test_every_base_of_mmdet_exists_in_the_official_release(recorded, repo_root):
    bases = {base for file in repo_root.joinpath('configs').rglob('*.py')
             for base in re.findall(r"'mmdet::([^']+)'", file.read_text())}  # fmt: skip
    assert len(bases) > 5
    assert bases <= set(recorded['configs'])


@pytest.mark.parametrize(('source', 'said'), [
    ('from mmengine.runner import Runner', None),
    ('import numpy; numpy.no_such_name', None),
    ('from mmengine.runner import NoSuchRunner', '1: no NoSuchRunner in mmengine.runner'),
    ('from mmengine.no_such_module import Runner', '1: no Runner in mmengine.no_such_module'),
    ('import mmdet.no_such_module', '1: no module mmdet.no_such_module'),
    ('def f():\n    from mmdet.datasets import NoSuch', '2: no NoSuch in mmdet.datasets'),
    ('import mmcv\nmmcv.imread(0).anything', None),
    ('import mmcv\nmmcv.imread_no_more(0)', '2: no imread_no_more in mmcv'),
    ('from mmengine.runner import checkpoint as c\nc._no_more()',
     '2: no _no_more in mmengine.runner.checkpoint'),
    ('import mmengine.model.utils\nmmengine.model.utils.no_more',
     '2: no no_more in mmengine.model.utils'),
])  # fmt: skip
@pytest.mark.parametrize('line', ['official', 'installed'])
def test_a_missing_name_is_told(source, said, line, lines, recorder):
    assert set(lacking(source, lines[line], recorder.PACKAGES)) == ({said} if said else set())


def test_names_that_the_package_really_has_are_recorded(recorder, tmp_path, monkeypatch):
    package = tmp_path / 'some_package'
    for folder in (package, package / 'room', package / '.mim'):
        folder.mkdir()
    (package / '__init__.py').write_text('from os import path\nfrom .room import *\n'
                                         'from .plain import later as now\n__version__ = "1"\n')
    (package / 'room/__init__.py').write_text('from ..plain import *\n_own: int = 1\n')
    (package / 'plain.py').write_text('import os\nif os:\n    def later(): ...\n'
                                      'try:\n    from os import sep\nexcept ImportError:\n'
                                      '    sep, end = "/", "/"\nclass _Hidden: ...\n')
    (package / '.mim/other.py').write_text('x = 1\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    found = recorder.Package('some_package')
    assert found.modules() == ['some_package', 'some_package.plain', 'some_package.room']
    assert found.names('some_package.plain') == ['_Hidden', 'end', 'later', 'sep']
    assert found.names('some_package.room') == ['_own', 'end', 'later', 'sep']
    assert found.names('some_package') == ['__version__', 'end', 'later', 'now', 'plain', 'room',
                                           'sep']
    assert found.names('some_package.absent') is None


@pytest.mark.parametrize('name', ['mmengine', 'mmcv', 'mmdet'])
def test_the_record_is_of_the_release_it_names(name, recorder, recorded):
    wanted = recorded['versions'][name]
    try:
        found = version(name)
    except PackageNotFoundError:
        found = 'none'
    if found != wanted:
        pytest.skip(f'needs {name} {wanted} of the official line, found {found}')
    package = recorder.Package(name)
    assert {m: ' '.join(package.names(m)) for m in package.modules()} == {
        m: names for m, names in recorded['modules'].items() if m.split('.')[0] == name}


def test_every_module_of_the_release_is_recorded(recorded):
    assert Path(recorded['configs'][0]).suffix == '.py'
    assert {m.split('.')[0] for m in recorded['modules']} == {'mmengine', 'mmcv', 'mmdet'}
