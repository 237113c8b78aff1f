"""Runs tests against mutants, each in a process that is forked from one with the libraries loaded.

No file is changed: the child's import system compiles the mutant in the place of the module's file.
What a test starts as a process of its own sees no mutant.
"""
from __future__ import annotations

import gc
import importlib
import importlib.machinery
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
_PRELOADED = ('mmdet.apis', 'mmdet.datasets', 'mmdet.models', 'hypothesis', 'sklearn.metrics')


def preload() -> None:
    """Import what all children need, and nothing of the package."""
    for name in _PRELOADED:
        importlib.import_module(name)
    gc.freeze()  # else each child's collections go through all of it, and copy its pages
    assert 'tresnet_mm' not in sys.modules, 'the package is imported before its mutants'


def module_name(file: Path) -> str:
    """The name by which a file of the package is imported."""
    parts = file.resolve().relative_to(ROOT).with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


def survives(file: Path, source: str, tests: Sequence[str], patience: float) -> bool:
    """Whether tests pass with another source in the place of a module's.

    The tests of the module's own name run first: most mutants are found there.

    Args:
        file: The module.
        source: What is run in its place.
        tests: What pytest is given.
        patience: Seconds after which the mutant counts as found: it hangs.
    """
    child = os.fork()
    if child == 0:
        os._exit(_test(module_name(file), source, [*own_tests(file, tests), tests]))
    end = time.monotonic() + patience
    while time.monotonic() < end:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status) == pytest.ExitCode.OK
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def own_tests(file: Path, tests: Sequence[str]) -> list[list[str]]:
    """What pytest is given to run the tests of a module's name, where its area has such a file."""
    name = f'test_{file.stem}.py'
    inside = (path if path.name == name else path / name for path in map(ROOT.joinpath, tests))
    return [[str(own)] for own in inside if own.exists()]


def _test(module: str, source: str, rounds: Sequence[Sequence[str]]) -> int:
    """Run tests in this process, which is the child; returns pytest's exit status.

    Args:
        module: Name of the module.
        source: What is run in its place.
        rounds: What pytest is given, one after the other until one fails.
    """
    os.setpgid(0, 0)  # so that what hangs is ended with its own children
    os.chdir(ROOT)
    with open(os.devnull, 'w') as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    loader = importlib.machinery.SourceFileLoader
    get_code = loader.get_code

    def code_of(self: importlib.machinery.SourceFileLoader, name: str) -> object:
        if name != module:
            return get_code(self, name)
        return compile(source, self.get_filename(name), 'exec')

    loader.get_code = code_of  # type: ignore[assignment]
    options = ['-x', '-q', '-p', 'no:cacheprovider', '-m', 'not slow and not long']
    try:
        codes = (int(pytest.main([*options, *tests])) for tests in rounds)
        # The module's own tests may all be slow, which are left out here.
        passed = pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED
        return next((code for code in codes if code not in passed), 0)
    except BaseException:
        return int(pytest.ExitCode.INTERNAL_ERROR)
