"""Run for long, and see that memory, open files and shared memory stand still.

    python -m tests.soak
    python -m tests.soak --part calls --scale 0.1

Each part (`parts.py`) is a process of its own. ``--scale`` shortens all of them; the figures of a
short run say nothing, since the warm-up is most of it. The exit status is 1 if a part failed or
something grew by more than its limit.
"""
from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from tests.soak.growth import summary
from tests.soak.parts import PARTS

ROOT = Path(__file__).resolve().parent.parent.parent


def run_part(name: str, scale: float) -> dict:
    """Run a part in a process of its own; returns what `summary` says of it.

    Raises:
        subprocess.CalledProcessError: The part failed; what it printed is on stderr.
    """
    with tempfile.TemporaryDirectory(prefix='soak-') as folder:
        out = Path(folder, 'samples.json')
        done = subprocess.run(
            [sys.executable, '-m', 'tests.soak.parts', name, str(scale), folder, str(out)],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            print(done.stdout[-5000:], file=sys.stderr)
        done.check_returncode()
        return summary(PARTS[name].unit, PARTS[name].limits, **json.loads(out.read_text()))


def main() -> int:
    """Run the parts; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--part', nargs='+', choices=sorted(PARTS), default=list(PARTS))
    parser.add_argument('--scale', type=float, default=1., help='of the lengths (%(default)s)')
    parser.add_argument('--out', type=Path, help='file to keep the results in; the parts that '
                        'were not run stay as they are')
    args = parser.parse_args()
    results, status = {}, 0
    for name in args.part:
        try:
            results[name] = run_part(name, args.scale)
        except subprocess.CalledProcessError as error:
            results[name] = dict(faults=[f'exit status {error.returncode}'])
        status = 1 if results[name]['faults'] else status
        print(json.dumps({name: results[name]}), flush=True)
    if args.out:
        before = json.loads(args.out.read_text())['parts'] if args.out.exists() else {}
        parts = {**before, **results}
        args.out.write_text(json.dumps(dict(
            command=f'python -m tests.soak --scale {args.scale:g}',
            python=platform.python_version(), system=' '.join(platform.libc_ver()),
            versions={name: version(name) for name in ('torch', 'numpy')},
            ok=not any(part['faults'] for part in parts.values()),
            parts={name: parts[name] for name in PARTS if name in parts}), indent=2) + '\n')
    return status


if __name__ == '__main__':
    sys.exit(main())
