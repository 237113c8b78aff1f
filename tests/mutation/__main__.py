"""Put small faults into modules, and see that their tests find them.

    python -m tests.mutation
    python -m tests.mutation --area losses --sample 40

Of each module ``--sample`` mutants are drawn. The exit status is 1 if fewer than 90 % of an area's
are found; those that no test can tell from the original are in ``explained.py`` and not counted.
"""
from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.mutation.areas import AREAS, Area
from tests.mutation.explained import EXPLAINED
from tests.mutation.mutants import mutants
from tests.mutation.run import ROOT, preload, survives

LEAST = 0.9


def run_area(area: Area, sample: int, seed: int) -> dict:
    """Run the tests of an area against mutants of its modules.

    Raises:
        RuntimeError: The tests fail as they are.
    """
    modules, start = {}, time.monotonic()
    files = sorted(file for pattern in area.modules for file in ROOT.glob(pattern))
    files = [file for file in files if file.name != '__init__.py']
    if not survives(files[0], files[0].read_text(), area.tests, 600):
        raise RuntimeError(f'{" ".join(area.tests)} fail without a mutant')
    patience = 10 + 5 * (time.monotonic() - start)
    for file in files:
        every = mutants(file.read_text())
        drawn = random.Random(seed).sample(every, min(sample, len(every)))
        name = str(file.relative_to(ROOT))
        left = []
        for mutant in drawn:
            if survives(file, mutant.source, area.tests, patience):
                left.append(dict(line=mutant.line, was=mutant.was, now=mutant.now,
                                 why=EXPLAINED.get((name, mutant.was, mutant.now), '')))
                print(json.dumps({name: left[-1]}), flush=True)
        modules[name] = dict(mutants=len(every), tried=len(drawn),
                             killed=len(drawn) - len(left), survivors=left)
        print(f'{name}: {len(drawn) - len(left)} of {len(drawn)} found', flush=True)
    killed = sum(module['killed'] for module in modules.values())
    faults = killed + sum(not left['why'] for module in modules.values()
                          for left in module['survivors'])
    return dict(tests=area.tests, sample=sample, seed=seed, killed=killed, faults=faults,
                share=round(killed / faults, 3) if faults else 1., modules=modules)


def main() -> int:
    """Run the areas; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--area', nargs='+', choices=sorted(AREAS), default=list(AREAS))
    parser.add_argument('--sample', type=int, default=40, help='mutants a module (%(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='of the sample (%(default)s)')
    parser.add_argument('--out', type=Path, help='file to keep the results in; the areas that '
                        'were not run stay as they are')
    args = parser.parse_args()
    os.environ.update(OMP_NUM_THREADS='1', OMP_WAIT_POLICY='PASSIVE', MPLBACKEND='Agg')
    failed = False
    preload()
    with tempfile.TemporaryDirectory(prefix='mutation-') as folder:
        os.environ['HYPOTHESIS_STORAGE_DIRECTORY'] = folder
        for name in args.area:
            result = run_area(AREAS[name], args.sample, args.seed)
            if args.out:
                before = json.loads(args.out.read_text()) if args.out.exists() else {}
                areas = {**before.get('areas', {}), name: result}
                kept = {key: areas[key] for key in AREAS if key in areas}
                args.out.write_text(json.dumps(dict(areas=kept), indent=1) + '\n')
            print(json.dumps({name: {key: result[key] for key in ('killed', 'faults', 'share')}}))
            failed |= result['share'] < LEAST
    return int(failed)


if __name__ == '__main__':
    sys.exit(main())
