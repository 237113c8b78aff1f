"""The doctor's findings, printed."""

from __future__ import annotations

import json
from collections.abc import Sequence

from .checks import Finding, examine
from .machine import look

JSON_HELP = 'print the findings as JSON'


def as_text(findings: Sequence[Finding]) -> str:
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


def run(as_json: bool = False) -> int:
    """Look over this environment and print the findings; 1 where one is a problem."""
    findings = examine(look())
    well = not any(finding.verdict == 'problem' for finding in findings)
    if as_json:
        print(json.dumps(dict(ok=well, findings=[f._asdict() for f in findings]), indent=2))
    else:
        print(as_text(findings))
    return int(not well)
