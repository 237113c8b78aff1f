"""Holds the installed packages against PyPI's database of known weaknesses; `make audit` calls it.

pip-audit ends with success where it could look nothing up. Here that is a failure: what was not
looked up is not known to be safe.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any


def verdict(dependencies: Sequence[Mapping[str, Any]]) -> tuple[int, list[str]]:
    """The exit status and what to say.

    Args:
        dependencies: The entries of pip-audit's JSON: name and version with ``vulns``, or
            ``skip_reason`` where a package was not looked up.

    Returns:
        0 where all was looked up and nothing found; this package itself, and builds with a local
        version such as ``2.13.0+cpu``, are in no database and only named. Else 1.
    """
    looked_up = [d for d in dependencies if 'skip_reason' not in d]
    if not looked_up:
        return 1, [f'nothing was audited: none of {len(dependencies)} packages could be looked up; '
                   'is the database (https://pypi.org) within reach?']
    lines, failed = [], False
    for entry in dependencies:
        for weakness in entry.get('vulns', ()):
            failed = True
            mended = ', '.join(weakness.get('fix_versions', ())) or 'none yet'
            package = f'{entry["name"]} {entry["version"]}'
            lines.append(f'{package}: {weakness["id"]}, mended in: {mended}')
        if 'skip_reason' in entry:
            unknown = entry['name'] not in ('tresnet-mm', 'tresnet_mm')
            unknown &= '+' not in entry['skip_reason']
            failed |= unknown
            lines.append(f'not looked up: {entry["skip_reason"]}')
    lines.append(f'{len(looked_up)} of {len(dependencies)} packages were looked up')
    return int(failed), lines


def main() -> int:
    """Run pip-audit on this environment and judge what it says."""
    command = [sys.executable, '-m', 'pip_audit', '--local', '--progress-spinner', 'off',
               '--format', 'json']  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    try:
        dependencies = json.loads(done.stdout)['dependencies']
    except (json.JSONDecodeError, KeyError):
        why = done.stderr.strip().splitlines() or ['it said nothing']
        print(f'nothing was audited: pip-audit failed: {why[-1]}', file=sys.stderr)
        return 1
    status, lines = verdict(dependencies)
    print('\n'.join(lines), file=sys.stderr if status else sys.stdout)
    return status


if __name__ == '__main__':
    sys.exit(main())
