"""docs/reliability.md from the results of the tests that carry the marker ``reliability``.

A pytest plugin: ``make reliability`` runs all of these tests and writes the page.
"""

import ast
import datetime
import importlib.metadata
import os
import platform
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / 'docs/reliability.md'

#: Headings of the page, each with the files whose tests it lists; the first that fits.
TOPICS = {
    'Runs by several machines': 'two_hosts|host_watch|machine|launch|saved_runs|process_group',
    'Long runs': 'soak|long_run',
    'Runs by several processes': r'ranks|sync_inplace|test_multilabel_metric|tests/test_tools\.py',
    'Interrupted runs': 'stopped|resume|killed|restart|whole_f|ema_evaluation|prepare_data',
    'Runs that go wrong': '',
}
ORDER = ['Interrupted runs', 'Runs that go wrong', 'Runs by several processes',
         'Runs by several machines', 'Long runs']

HEAD = """# What a run survives

`make reliability` does each of these to real runs and writes this page from the tests' results; a
row names its test. What it means for your runs:
[Stopped, killed, gone wrong](runs.md#stopped-killed-gone-wrong).

{result}, {date}, with {versions}, on {machine}.
"""


class Case(NamedTuple):
    """One row of the page: what a test does, what has to happen, and where it stands."""

    file: str
    done: str
    happens: str


@dataclass
class Results:
    """What became of the tests of one row; a parametrised one has several."""

    function: str = ''
    line: int = 0
    passed: int = 0
    others: list[str] = field(default_factory=list)

    def text(self) -> str:
        count = self.passed + len(self.others)
        times = f' {count} times' if count > 1 else ''
        if not self.others:
            return f'passed{times}'
        said = '; '.join(dict.fromkeys(self.others))
        return f'{said} ({self.passed} of {count} passed)' if count > 1 else said


class PageWriter:
    """Collects the outcome of each marked test, and writes the page at the end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[Case, Results] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        marked = dict(report.user_properties).get('reliability')
        # Setting up and taking down count where they did not pass.
        if marked is None or (report.when != 'call' and report.outcome == 'passed'):
            return
        file, line, name = report.location
        row = self.rows.setdefault(Case(Path(file).as_posix(), *marked), Results())
        row.function, row.line = name.partition('[')[0], line or 0
        if report.outcome == 'passed':
            row.passed += 1
        else:
            row.others.append(f'**{report.outcome}**: {reason(report)}')

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.rows:
            for case in all_marked(session.config.rootpath) - set(self.rows):
                self.rows[case] = Results(others=['**not run**'])
            self.path.write_text(page(self.rows), encoding='utf-8')


def reason(report: pytest.TestReport) -> str:
    """Why a test failed or was skipped, in one line."""
    if isinstance(report.longrepr, tuple):  # of skipping: file, line, reason
        text = report.longrepr[2].removeprefix('Skipped: ')
    else:
        crash = getattr(report.longrepr, 'reprcrash', None)
        text = crash.message if crash else str(report.longrepr)
    return (text.strip().splitlines() or [''])[0][:200]


def topic(file: str) -> str:
    """The heading that a file's tests come under."""
    return next(name for name, pattern in TOPICS.items() if re.search(pattern, file))


def page(rows: dict[Case, Results]) -> str:
    """The page's text."""
    bad = sum(bool(row.others) for row in rows.values())
    lines = [HEAD.format(
        result=f'{len(rows)} cases, {f"{bad} of them not passed" if bad else "all passed"}',
        date=datetime.date.today().isoformat(), versions=', '.join(versions()),
        machine=f'{platform.system()} with {os.cpu_count()} cores')]
    for heading in ORDER:
        inside = sorted((case.file, row.line, case.done, case, row) for case, row in rows.items()
                        if topic(case.file) == heading)
        if inside:
            lines += [f'## {heading}', '', '| what is done | what happens | test | result |',
                      '|---|---|---|---|']
            lines += ['| ' + ' | '.join(cell.replace('|', r'\|') for cell in (
                case.done, case.happens, f'`{case.file}::{row.function}`', row.text())) + ' |'
                for *_, case, row in inside]
            lines.append('')
    return '\n'.join(lines)


def versions() -> list[str]:
    """Python and the packages that training stands on, under the names they are installed by."""
    names = ['torch', 'onedl-mmengine', 'mmengine', 'onedl-mmcv', 'mmcv', 'onedl-mmdetection',
             'mmdet', 'numpy']
    found = [f'Python {platform.python_version()}']
    for name in names:
        try:
            found.append(f'{name} {importlib.metadata.version(name)}')
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def all_marked(root: Path) -> set[Case]:
    """The cases of all tests of a checkout, or of a folder of tests."""
    folder = root / 'tests' if (root / 'tests').is_dir() else root
    return {case for file in folder.rglob('test_*.py') if 'mark.reliability(' in file.read_text()
            and file.name != 'test_reliability_page.py' for case in marked_cases(file, root)}


def marked_cases(file: Path, root: Path = ROOT) -> set[Case]:
    """The cases that a file's markers name, without importing it; paths are relative to ``root``.

    Raises:
        ValueError: A marker has other arguments than ``done`` and ``happens``, each a text or the
            name of one in the file.
    """
    found = set()
    name = file.relative_to(root).as_posix()
    tree = ast.parse(file.read_text(encoding='utf-8'))
    named = {node.targets[0].id: node.value for node in tree.body
             if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == 'pytest.mark.reliability':
            given = {word.arg: ast.literal_eval(named.get(ast.unparse(word.value), word.value))
                     for word in node.keywords}
            if node.args or set(given) != {'done', 'happens'}:
                raise ValueError(f'{name}:{node.lineno}: reliability(done=..., happens=...)')
            found.add(Case(name, given['done'], given['happens']))
    return found


def page_cases(text: str) -> list[tuple[Case, str]]:
    """The rows of a page, each with its test's function."""
    found = []
    for line in text.splitlines():
        cells = [cell.strip().replace(r'\|', '|') for cell in re.split(r'(?<!\\)\|', line)[1:-1]]
        if len(cells) == 4 and '::' in cells[2]:  # without a function where it was not run
            file, function = cells[2].strip('`').split('::')
            found.append((Case(file, cells[0], cells[1]), function))
    return found


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption('--reliability-page', type=Path,
                     help='write the results of the tests marked `reliability` to this page')


def pytest_configure(config: pytest.Config) -> None:
    path = config.getoption('--reliability-page')
    if path is not None and not hasattr(config, 'workerinput'):  # of xdist
        config.pluginmanager.register(PageWriter(path))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        marker = item.get_closest_marker('reliability')
        if marker is not None:
            item.user_properties.append(
                ('reliability', [marker.kwargs['done'], marker.kwargs['happens']]))
