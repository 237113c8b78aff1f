"""Fuzz the readers of files from strangers; prints one JSON object a kind, then one for all.

    python -m tests.fuzz --cases 100000
    python -m tests.fuzz --cases 5000 --kind coco image --seed 7

``--cases`` is the number over all kinds. The exit status is 1 if a case ended in anything but
a documented error, took longer than 5 s, or the memory of a kind grew by more than 256 MiB.
"""
from __future__ import annotations

import argparse
import json
import logging
import platform
import sys
import traceback
from importlib.metadata import version
from pathlib import Path

from tests.fuzz.kinds import load_kinds
from tests.fuzz.run import run

MOST_GROWTH_MIB = 256


def main() -> int:
    """Fuzz; returns the exit status."""
    kinds = load_kinds()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--cases', type=int, default=1000, help='over all kinds (%(default)s)')
    parser.add_argument('--kind', nargs='+', choices=sorted(kinds), default=sorted(kinds))
    parser.add_argument('--seed', type=int, default=0, help='of the first case (%(default)s)')
    parser.add_argument('--out', type=Path, help='file to keep the results in')
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    status, results = 0, {}
    for name in args.kind:
        try:
            results[name] = run(kinds[name], -(-args.cases // len(args.kind)), args.seed)
            if results[name]['peak_growth_mib'] > MOST_GROWTH_MIB:
                status = 1
        except BaseException as error:  # a hang is no Exception
            if isinstance(error, KeyboardInterrupt):
                raise
            traceback.print_exc()
            results[name], status = dict(fault=f'{type(error).__name__}: {error}'[:500]), 1
        print(json.dumps({name: results[name]}), flush=True)
    total = sum(result.get('cases', 0) for result in results.values())
    summary = dict(total=total, ok=status == 0)
    print(json.dumps(summary))
    if args.out:
        args.out.write_text(json.dumps(dict(
            command=f'python -m tests.fuzz --cases {args.cases} --seed {args.seed}',
            python=platform.python_version(),
            versions={name: version(name) for name in ('torch', 'numpy', 'pillow', 'hypothesis')},
            **summary, kinds=results), indent=2) + '\n')
    return status


if __name__ == '__main__':
    sys.exit(main())
