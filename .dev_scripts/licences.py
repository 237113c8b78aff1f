"""Writes the licences of the installed packages as a page; `make licences` calls it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

HEAD = """\
# Licences of the installed packages

Everything that `make env` installs, tools of development included; made by `make licences` from
what the packages say of themselves.

| package | version | licence |
|---|---|---|
"""


def name_of(licence: str) -> str:
    """A licence's name; where a package gives the whole text, the line that names it."""
    lines = [line.strip() for line in licence.splitlines() if line.strip()] or ['UNKNOWN']
    if len(lines) == 1:
        return lines[0].replace('|', '/')
    named = [line for line in lines if 'licen' in line.lower() and len(line) < 60]
    return f'{(named or lines)[0]} (whole text in its metadata)'


def page(packages: Iterable[Mapping[str, str]]) -> str:
    """The page, one line a package, from pip-licenses' entries (Name, Version, License)."""
    return HEAD + ''.join(
        f'| {p["Name"]} | {p["Version"]} | {name_of(p["License"])} |\n'
        for p in sorted(packages, key=lambda p: p['Name'].lower())
    )


def main() -> None:
    """Write the page into the file that the first argument names."""
    command = [sys.executable, '-m', 'piplicenses', '--from=mixed', '--format=json',
               '--ignore-packages', 'tresnet_mm']  # fmt: skip
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    Path(sys.argv[1]).write_text(page(json.loads(found.stdout)))
    print(f'written: {sys.argv[1]}')


if __name__ == '__main__':
    main()
