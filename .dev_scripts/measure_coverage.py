"""Measure which lines and branches of the package the tests reach: `make coverage`.

    python .dev_scripts/measure_coverage.py docs/coverage.json [FOLDER_OR_FILE_OF_TESTS ...]

What the tests start as processes is measured along. A test that fails stops nothing; the result
says how the run ended. Of folders that mirror rooms of the package, as tests/datasets does, the
result is about these rooms alone.
"""
from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOW = 95  # percent


def rooms(tests: list[str]) -> list[str]:
    """The folders of the package that some tests are of; all of it where one has no such folder."""
    folders = [test.replace('tests', 'tresnet_mm', 1).rstrip('/') for test in tests]
    return folders if all((ROOT / folder).is_dir() for folder in folders) else ['tresnet_mm']


def coverage(*arguments: str, check: bool = True) -> int:
    """Run the program; returns its exit status."""
    return subprocess.run([sys.executable, '-m', 'coverage', *arguments], cwd=ROOT,
                          check=check).returncode


def summary(report: dict, tests: list[str], status: int) -> dict:
    """What of coverage's report is kept."""
    files = {name: dict(
        percent=round(one['summary']['percent_covered'], 1),
        missing_lines=one['missing_lines'],
        missing_branches=[f'{a}->{b}' for a, b in one['missing_branches']])
        for name, one in sorted(report['files'].items())}
    totals = report['totals']
    return dict(
        date=date.today().isoformat(), python=platform.python_version(),
        coverage=report['meta']['version'], tests=tests, exit_status=status,
        percent=round(totals['percent_covered'], 2),
        percent_lines=round(100 * totals['covered_lines'] / totals['num_statements'], 2),
        percent_branches=round(100 * totals['covered_branches'] / totals['num_branches'], 2),
        lines=totals['num_statements'], branches=totals['num_branches'],
        low=sorted(name for name, one in files.items() if one['percent'] < LOW),
        files={name: one for name, one in files.items() if one['percent'] < 100})


def keep(out: Path, tests: list[str], status: int) -> None:
    """Combine what the processes left behind, and write the summary."""
    coverage('combine', '-q')
    report = ROOT / '.coverage.json'
    include = ','.join(f'{room}/*' for room in rooms(tests))
    coverage('json', '-q', f'--include={include}', '-o', str(report))
    out.write_text(json.dumps(summary(json.loads(report.read_text()), tests, status), indent=1)
                   + '\n')
    report.unlink()


def main() -> int:
    """Measure; returns pytest's exit status."""
    out, tests = Path(sys.argv[1]), sys.argv[2:] or ['tests']
    coverage('erase')
    os.environ['PYTHONPATH'] = os.pathsep.join(
        [str(ROOT / '.dev_scripts'), *filter(None, [os.environ.get('PYTHONPATH')])])
    status = coverage('run', '-m', 'pytest', '-q', '-p', 'no:cacheprovider', '-p',
                      'patient_workers', '-n', 'logical', '--dist', 'worksteal', *tests,
                      check=False)
    keep(out, tests, status)
    return status


if __name__ == '__main__':
    sys.exit(main())
