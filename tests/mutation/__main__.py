"""Put small faults into modules, and see that their tests find them.

    python -m tests.mutation
    python -m tests.mutation --area losses --sample 40
    python -m tests.mutation --area losses --module hill_loss --sample 1000 --out docs/mutation.json

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
from tests.mutation.mutants import Mutant, mutants
from tests.mutation.run import ROOT, preload, survives

LEAST = 0.9


def run_area(area: Area, names: list[str] | None, sample: int, seed: int) -> dict:
    """Run the tests of an area against mutants of its modules, or of those of some names.

    Raises:
        RuntimeError: The tests fail as they are.
        ValueError: The area has no modules of these names.
    """
    files = sorted(file for pattern in area.modules for file in ROOT.glob(pattern)
                   if file.name != '__init__.py' and (names is None or file.stem in names))
    if not files:
        raise ValueError(f'no module of {area.modules} is called {names}')
    patience = patience_of(area, files[0])
    modules = {}
    for file in files:
        every = mutants(file.read_text())
        drawn = random.Random(seed).sample(every, min(sample, len(every)))
        alive = survivors(file, drawn, area, patience)
        modules[str(file.relative_to(ROOT))] = dict(
            mutants=len(every), seed=seed, tried=len(drawn), killed=len(drawn) - len(alive),
            survivors=alive)
        print(f'{file.name}: {len(drawn) - len(alive)} of {len(drawn)} found', flush=True)
    return dict(tests=area.tests, modules=modules)


def run_again(area: Area, kept: dict) -> dict:
    """Run the tests of an area against the mutants that survived the last time, and no others.

    Raises:
        RuntimeError: The tests fail as they are, or a module has changed since.
    """
    patience = 0.
    for name, module in kept['modules'].items():
        file, last = ROOT / name, module['survivors']
        wanted = {(left['line'], left['was'], left['now']) for left in last}
        again = [mutant for mutant in mutants(file.read_text()) if mutant[:3] in wanted]
        if len(again) < len(last):
            raise RuntimeError(f'{name} is another than it was: run it without --again')
        if again:
            patience = patience or patience_of(area, file)
            module['survivors'] = survivors(file, again, area, patience)
            module['killed'] = module['tried'] - len(module['survivors'])
    return kept


def patience_of(area: Area, file: Path) -> float:
    """Seconds after which a mutant hangs, from the time that the tests take as they are."""
    start = time.monotonic()
    if not survives(file, file.read_text(), area.tests, 600):
        raise RuntimeError(f'{" ".join(area.tests)} fail without a mutant')
    return 10 + 5 * (time.monotonic() - start)


def survivors(file: Path, drawn: list[Mutant], area: Area, patience: float) -> list[dict]:
    """Those of a module's mutants that the tests do not find."""
    name, left = str(file.relative_to(ROOT)), []
    for mutant in drawn:
        if survives(file, mutant.source, area.tests, patience):
            left.append(dict(line=mutant.line, was=mutant.was, now=mutant.now,
                             why=EXPLAINED.get((name, mutant.was, mutant.now), '')))
            print(json.dumps({name: left[-1]}), flush=True)
    return left


def with_shares(result: dict) -> dict:
    """Add up an area's modules: ``faults`` are the mutants that can be told from the original."""
    modules = result['modules'].values()
    killed = sum(module['killed'] for module in modules)
    faults = killed + sum(not left['why'] for module in modules for left in module['survivors'])
    return {**result, 'killed': killed, 'faults': faults,
            'share': round(killed / faults, 3) if faults else 1.}


def main() -> int:
    """Run the areas; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--area', nargs='+', choices=sorted(AREAS), default=list(AREAS))
    parser.add_argument('--module', nargs='+', help='file names without .py; the other modules of '
                        'an area stay as they are in --out')
    parser.add_argument('--sample', type=int, default=40, help='mutants a module (%(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='of the sample (%(default)s)')
    parser.add_argument('--out', type=Path, help='file to keep the results in; the areas that '
                        'were not run stay as they are')
    parser.add_argument('--again', action='store_true',
                        help='try those alone that survived the last time, by --out')
    args = parser.parse_args()
    os.environ.update(OMP_NUM_THREADS='1', OMP_WAIT_POLICY='PASSIVE', MPLBACKEND='Agg',
                      PYTEST_DISABLE_PLUGIN_AUTOLOAD='1')
    sys.dont_write_bytecode = False  # each child would compile the tests anew
    failed = False
    preload()
    with tempfile.TemporaryDirectory(prefix='mutation-') as folder:
        os.environ['HYPOTHESIS_STORAGE_DIRECTORY'] = folder
        for name in args.area:
            kept = read(args.out).get(name, {})
            if args.again:
                result = run_again(AREAS[name], kept)
            else:
                result = run_area(AREAS[name], args.module, args.sample, args.seed)
                if args.module:
                    result['modules'] = {**kept.get('modules', {}), **result['modules']}
            result = with_shares(result)
            print(json.dumps({name: {key: result[key] for key in ('killed', 'faults', 'share')}}))
            failed |= result['share'] < LEAST
            if args.out:
                areas = {**read(args.out), name: result}
                ordered = {key: areas[key] for key in AREAS if key in areas}
                args.out.write_text(json.dumps(dict(areas=ordered), indent=1) + '\n')
    return int(failed)


def read(file: Path | None) -> dict:
    """The areas of a file of results."""
    return json.loads(file.read_text())['areas'] if file and file.exists() else {}


if __name__ == '__main__':
    sys.exit(main())
