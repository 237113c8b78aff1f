"""Bad input is handled as documented or refused by one clear error; it is never silent or hangs."""

import importlib
from pathlib import Path

import pytest

from tests.bad_input.case import Case, handled, judge, refused

TABLES = sorted(path.stem for path in Path(__file__).parent.glob('cases_*.py'))
CASES = [case for table in TABLES
         for case in importlib.import_module(f'tests.bad_input.{table}').CASES]


@pytest.mark.reliability(
    done='bad annotations, tables, images, configs and checkpoints',
    happens='each refused in one message, or handled as documented')
@pytest.mark.parametrize('case', CASES, ids=[case.name for case in CASES])
def test_case(case, tmp_path):
    assert judge(case, tmp_path) == ''


def test_names_are_different():
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize('run, expected, fault', [
    (lambda folder: 1, refused(ValueError), 'silently accepted, giving 1'),
    (lambda folder: {}['x'], refused(ValueError), 'KeyError'),
    (lambda folder: int('x'), refused(ValueError, 'file.json'), "lacks ['file.json']"),
    (lambda folder: int('x'), handled(1), 'should be handled'),
    (lambda folder: 2, handled(1), 'expected 1'),
])
def test_the_judge_finds_faults(run, expected, fault, tmp_path):
    assert fault in judge(Case('x', lambda folder: None, run, expected), tmp_path)


def test_the_judge_ends_what_hangs(tmp_path, monkeypatch):
    monkeypatch.setattr('tests.bad_input.case.PATIENCE', 0.2)

    def run(folder):
        while True:
            pass
    assert 'hangs' in judge(Case('x', lambda folder: None, run, handled(1)), tmp_path)
