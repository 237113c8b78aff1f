"""The audit says what it did not look up, and the licences are one line a package."""

import importlib.util
from types import ModuleType

import pytest


@pytest.fixture
def script(repo_root):
    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(name, repo_root / f'.dev_scripts/{name}.py')
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


CLEAN = dict(name='numpy', version='2.2.6', vulns=[])
WEAK = dict(name='pillow', version='9.0', vulns=[dict(id='PYSEC-1', fix_versions=['9.1'])])
OURS = dict(name='tresnet-mm', skip_reason='not found on PyPI: tresnet-mm (0.1.0)')
LOCAL = dict(name='torch', skip_reason='not found on PyPI: torch (2.13.0+cpu)')
UNKNOWN = dict(name='scipy', skip_reason='not found on PyPI: scipy (1.17.1)')


@pytest.mark.parametrize(('dependencies', 'status', 'said'), [
    ([CLEAN], 0, '1 of 1 packages were looked up'),
    ([CLEAN, OURS, LOCAL], 0, 'not looked up: not found on PyPI: torch'),
    ([CLEAN, WEAK], 1, 'pillow 9.0: PYSEC-1, mended in: 9.1'),
    ([CLEAN, UNKNOWN], 1, 'not looked up: not found on PyPI: scipy'),
    ([UNKNOWN, LOCAL], 1, 'nothing was audited: none of 2 packages could be looked up'),
])  # fmt: skip
def test_what_was_not_looked_up_is_no_success(script, dependencies, status, said):
    found, lines = script('audit').verdict(dependencies)
    assert found == status
    assert any(said in line for line in lines)


def test_licences_are_one_line_a_package(script):
    text = 'Copyright 2020\n\n   Apache License\n   Version 2.0\nlicensed ' + 'so ' * 40
    mit = dict(Name='b', Version='2', License='MIT')
    page = script('licences').page([mit, dict(Name='A', Version='1', License=text)])
    assert page.splitlines()[-2:] == [
        '| A | 1 | Apache License (whole text in its metadata) |', '| b | 2 | MIT |']  # fmt: skip
