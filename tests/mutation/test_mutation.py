"""A short run of the mutations; `python -m tests.mutation` is the long one."""

import ast
import json
import subprocess
import sys

import pytest

from tests.mutation.areas import AREAS
from tests.mutation.mutants import mutants
from tests.mutation.run import module_name

SOURCE = '''
"""Text with 1 < 2."""
def f(a: int = 1, *, b: bool = True) -> int | None:
    """More text."""
    if a < 3 and not b:
        raise ValueError(f'{a + 1} is too small')
    g(a, key=2)
    a += a * 4
    return -a
'''


def changes():
    return {(mutant.was, mutant.now) for mutant in mutants(SOURCE)}


def test_every_kind_of_fault_is_made():
    assert changes() >= {
        ('1', '2'), ('True', 'False'), ('a < 3', 'a <= 3'), ('a < 3 and (not b)',
                                                            'a < 3 or not b'), ('not b', 'b'),
        ('g(a, key=2)', 'pass'), ('g(a, key=2)', 'g(a)'), ('a += a * 4', 'a -= a * 4'),
        ('a * 4', 'a / 4'), ('return -a', 'return None'), ('-a', 'a')}
    assert any(was.startswith('raise') and now == 'pass' for was, now in changes())
    assert any(now.startswith('if not (a < 3') for _, now in changes())


def test_texts_types_and_the_words_of_errors_stay():
    assert not any('text' in was or 'Text' in was for was, _ in changes())
    assert not any(was in ('int | None', 'a + 1') for was, _ in changes())


def test_each_mutant_has_one_fault_and_the_next_starts_anew():
    original = ast.unparse(ast.parse(SOURCE)).splitlines()
    found = mutants(SOURCE)
    assert len({mutant.source for mutant in found}) == len(found)
    for mutant in found:
        lines = mutant.source.splitlines()
        if len(lines) == len(original):
            assert sum(a != b for a, b in zip(lines, original, strict=True)) == 1, mutant


def test_the_modules_of_every_area_are_there(repo_root):
    for name, area in AREAS.items():
        for pattern in area.modules:
            files = list(repo_root.glob(pattern))
            assert files, (name, pattern)
            assert all(module_name(file).startswith('tresnet_mm.') for file in files)
        for test in area.tests:
            assert not test.startswith('tests/') or (repo_root / test).exists(), (name, test)


SCRIPT = """
from tests.mutation.run import ROOT, survives
file = ROOT / 'tresnet_mm/archs.py'
source = file.read_text()
for change, patience in (('', 120), ('ARCHS = {}', 120), ("ARCHS['m'] = None", 20)):
    print(survives(file, f'{source}\\n{change}\\n', ['test_archs.py'], patience))
"""
TESTS = """
import time
from tresnet_mm.archs import ARCHS

def test_archs():
    if ARCHS['m'] is None:
        time.sleep(60)
"""


@pytest.mark.slow
def test_a_mutant_is_found_also_by_hanging(tmp_path, repo_root):
    """In a process of its own: no module of the package may be loaded before its mutants."""
    test = tmp_path / 'test_archs.py'
    test.write_text(TESTS)
    script = SCRIPT.replace("'test_archs.py'", repr(str(test)))
    done = subprocess.run([sys.executable, '-c', script], cwd=repo_root, capture_output=True,
                          text=True)
    assert done.stdout.split() == ['True', 'False', 'False'], done.stderr


def test_what_was_kept_is_of_the_modules_that_there_are(repo_root):
    kept = json.loads((repo_root / 'docs/mutation.json').read_text())['areas']
    for area in kept.values():
        for name, module in area['modules'].items():
            assert (repo_root / name).exists()
            assert module['tried'] == module['killed'] + len(module['survivors']) > 0
