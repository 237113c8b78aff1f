"""docs/reliability.md names the tests that are marked for it, and shows what became of them."""

import subprocess
import sys

import pytest

from tests.reliability import ORDER, PAGE, Case, all_marked, marked_cases, page_cases, topic


def test_the_page_names_exactly_the_marked_tests(repo_root):
    marked = all_marked(repo_root)
    listed = page_cases(PAGE.read_text())
    assert {case for case, _ in listed} == marked, 'run `make reliability`'
    assert len(listed) == len(marked)
    for case, function in listed:
        assert f'def {function}' in (repo_root / case.file).read_text()


def test_the_page_lists_each_file_under_its_heading():
    sections = PAGE.read_text().split('\n## ')[1:]
    headings = [section.partition('\n')[0] for section in sections]
    assert headings == [name for name in ORDER if name in headings]
    for heading, section in zip(headings, sections, strict=True):
        files = [case.file for case, _ in page_cases(section)]
        assert {topic(file) for file in files} == {heading}
        assert files == sorted(files)


@pytest.mark.parametrize(('file', 'heading'), [
    ('tests/checkpoint/test_hostile_files.py', 'Runs that go wrong'),
    ('tests/engine/test_host_watch_hook.py', 'Runs by several machines'),
    ('tests/tools/test_two_hosts.py', 'Runs by several machines'),
])
def test_hostile_is_no_host(file, heading):
    assert topic(file) == heading


TESTS = """
import pytest

@pytest.mark.reliability(done='a', happens='all | well')
@pytest.mark.parametrize('value', [1, 2])
def test_a(value):
    pass

@pytest.mark.reliability(done='b', happens='it fails')
@pytest.mark.parametrize('value', [1, 2])
def test_b(value):
    assert value == 1, 'the reason'

@pytest.mark.reliability(done='c', happens='it is skipped')
def test_c():
    pytest.skip('no such machine')

@pytest.fixture
def broken():
    raise ValueError('no ground')

@pytest.mark.reliability(done='d', happens='no start')
def test_d(broken):
    pass

@pytest.mark.parametrize('value', [
    pytest.param(1, marks=pytest.mark.reliability(done='e', happens='its own row'))])
def test_e(value):
    pass

def test_unmarked():
    assert False

@pytest.mark.reliability(done='f', happens='left out')
def test_left_out():
    pass
"""


@pytest.mark.parametrize('options', [(), pytest.param(('-n', '1'), marks=pytest.mark.slow)])
def test_what_a_row_shows(options, repo_root, tmp_path):
    if options:
        pytest.importorskip('xdist')
    (tmp_path / 'test_it.py').write_text(TESTS)
    page = tmp_path / 'page.md'
    run = subprocess.run(
        [sys.executable, '-m', 'pytest', '-p', 'tests.reliability', '--rootdir', str(tmp_path),
         '-m', 'reliability', '-k', 'not left_out', '--reliability-page', str(page), *options,
         str(tmp_path)],
        cwd=repo_root, capture_output=True, text=True, timeout=120)
    assert run.returncode == 1, run.stdout + run.stderr
    text = page.read_text()
    assert '6 cases, 4 of them not passed' in text
    assert [case[1:] for case, _ in page_cases(text)] == [
        ('f', 'left out'), ('a', 'all | well'), ('b', 'it fails'), ('c', 'it is skipped'),
        ('d', 'no start'), ('e', 'its own row')]
    results = [line.split(' | ')[-1] for line in text.splitlines() if '::' in line]
    assert results == [
        '**not run** |', 'passed 2 times |',
        '**failed**: AssertionError: the reason (1 of 2 passed) |',
        '**skipped**: no such machine |', '**failed**: ValueError: no ground |', 'passed |']


def test_a_marker_is_read_without_importing_its_file(repo_root):
    file = repo_root / 'tests/tools/test_stopped_runs.py'
    found = marked_cases(file)
    assert found and all(isinstance(case, Case) and case.done and case.happens for case in found)
