"""Look over the installation: what is there, what works, and the commands that mend the rest.

Examples:
    tresnet-mm doctor
    python -m tresnet_mm.doctor --json

It works where nothing else is installed or the package does not import. The commands are for this
Python, this system, and the torch and CUDA that are there. The exit status is 1 where there is a
problem.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from .checks import Finding, examine
from .machine import look


def report(findings: Sequence[Finding]) -> str:
    """The findings as text: a table first, then the commands below what they are for."""
    width = max(len(finding.topic) for finding in findings)
    marks = dict(ok=' ', note='-', problem='!')
    lines = [f'{marks[f.verdict]} {f.topic:{width}}  {f.text}' for f in findings]
    problems = [f for f in findings if f.verdict == 'problem']
    for title, verdict in (('Optional:', 'note'), ('To be mended, in this order:', 'problem')):
        chosen = [f for f in findings if f.verdict == verdict and f.commands]
        if chosen:
            lines += ['', title]
        for finding in chosen:
            lines += ['', f'  {finding.topic}: {finding.text}',
                      *(f'    {command}' for command in finding.commands)]
    end = f'Problems: {", ".join(f.topic for f in problems)}' if problems else 'No problem found.'
    return '\n'.join([*lines, '', end])


def main(argv: Sequence[str] | None = None) -> int:
    """Print the findings; 1 where one is a problem."""
    parser = argparse.ArgumentParser(prog='tresnet-mm doctor', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--json', action='store_true', help='print the findings as JSON')
    args = parser.parse_args(argv)
    findings = examine(look())
    well = not any(finding.verdict == 'problem' for finding in findings)
    if args.json:
        print(json.dumps(dict(ok=well, findings=[f._asdict() for f in findings]), indent=2))
    else:
        print(report(findings))
    return int(not well)


if __name__ == '__main__':
    sys.exit(main())
