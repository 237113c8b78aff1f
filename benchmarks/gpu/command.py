"""Everything that only a GPU can tell, in one call of under nine minutes.

First what is right, then what is fast: each part on its own, so that one that fails is recorded
with its error and the others go on. The exit status is 1 if anything is not right.

    python -m benchmarks gpu                  # writes benchmarks/results/gpu.json
    python -m benchmarks gpu --tiny           # all of it on a CPU, in a minute; its times mean
                                              # nothing
    python -m benchmarks gpu --only norms
"""
from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = (ROOT / 'tests/data/golden', ROOT.parent / 'shared/golden')


def parse_args(argv: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog='python -m benchmarks gpu', description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--tiny', action='store_true', help='tiny sizes, on the CPU')
    parser.add_argument('--golden', type=Path, help="folder of the published networks' outputs "
                        f'(default: the first there is of {", ".join(map(str, GOLDEN))})')
    parser.add_argument('--budget', type=float, default=520, metavar='SECONDS',
                        help='parts that this does not reach for are dropped (default: 520)')
    parser.add_argument('--only', action='append', default=[], metavar='PART',
                        help='only this part; may be repeated')
    parser.add_argument('--out-dir', type=Path, help='folder of gpu.json (default: '
                        'benchmarks/results; with --tiny it is only printed)')
    args = parser.parse_args(argv)
    if not args.tiny and not torch.cuda.is_available():
        parser.error('PyTorch sees no GPU here; --tiny runs everything on the CPU')
    if args.golden is not None and not args.golden.is_dir():
        parser.error(f'--golden: {args.golden} is no folder')
    if args.golden is None:
        args.golden = next((folder for folder in GOLDEN if folder.is_dir()), None)
    if args.out_dir is None and not args.tiny:
        args.out_dir = ROOT / 'benchmarks/results'
    return args


def parts() -> list[Any]:
    """All parts in their order: what is right, then the speed, the dearest last."""
    from . import (
        backbone_speed,
        detector_speed,
        golden_vectors,
        largest_batches,
        loss_exactness,
        loss_speed,
        norm_exactness,
        norm_speed,
        small_training,
        synchronised_norm,
    )
    from .parts import Part
    right = [
        ('ABN against float64', norm_exactness.backend('torch'), 5),
        ('ABN against float64, triton', norm_exactness.backend('triton'), 30),
        ('losses against float64', loss_exactness.losses, 5),
        ('golden losses', golden_vectors.losses, 1),
        ('golden networks', golden_vectors.networks, 20),
        ('synchronised ABN', synchronised_norm.synchronised, 20),
        ('small training', small_training.small_training, 30)]
    fast = [
        ('backbones, training', backbone_speed.training, 20),
        ('backbones, inference', backbone_speed.inference, 15),
        ('largest batch', largest_batches.largest_batches, 20),
        ('norms', norm_speed.norms, 10),
        ('losses', loss_speed.multilabel, 5),
        ('losses, detection', loss_speed.detection, 5),
        ('FCOS, training', detector_speed.training, 15),
        ('FCOS, inference', detector_speed.inference, 15),
        ('backbones, inference, compiled', backbone_speed.compiled_inference, 40),
        ('backbones, training, compiled', backbone_speed.compiled_training, 60),
        ('TResNet-L, inference, compiled', backbone_speed.compiled_large, 40)]
    return [Part(*values, correctness=values in right) for values in right + fast]


def main(argv: Sequence[str]) -> int:
    """Run the parts, print and write what they found; 1 if anything is not right."""
    start = time.time()
    args = parse_args(argv)
    if args.tiny:
        # Before triton is imported: its interpreter runs the kernels on the CPU.
        os.environ.setdefault('TRITON_INTERPRET', '1')
    from ..record import environment
    from .parts import all_right, run_parts
    from .settings import Settings, tiny
    settings = tiny(args.golden) if args.tiny else Settings(golden=args.golden)
    chosen = parts()
    unknown = set(args.only) - {part.name for part in chosen}
    if unknown:
        raise SystemExit(f'--only: no part is called {", ".join(sorted(unknown))!r}; there are '
                         f'{"; ".join(part.name for part in chosen)}')
    chosen = [part for part in chosen if not args.only or part.name in args.only]
    record: dict[str, Any] = dict(
        name='gpu', command=' '.join(['python -m benchmarks gpu', *argv]),
        environment=environment(), tiny=args.tiny, parts=[])
    for result in run_parts(chosen, settings, args.budget):
        record['parts'].append(result)
        record['minutes'] = round((time.time() - start) / 60, 2)
        _report(result)
        _write(record, args)  # after each part: what ends this call leaves the parts before
    print(_summary(record), flush=True)
    return 0 if all_right(record['parts']) else 1


def _report(result: dict[str, Any]) -> None:
    from ..markdown_table import markdown_table
    reason = f': {result["reason"]}' if 'reason' in result else ''
    print(f'\n## {result["name"]}: {result["status"]}{reason} ({result["seconds"]} s)\n')
    rows = result['rows']
    if result['kind'] == 'correctness' and rows:
        # Of a hundred comparisons those that do not hold, or else the one that comes closest.
        wrong = [row for row in rows if not row['right']]
        print(f'{len(rows) - len(wrong)} of {len(rows)} comparisons hold\n')
        rows = wrong or [max(rows, key=lambda row: row.get('error', 0) / row.get('allowed', 1))]
    if rows:
        print(markdown_table(rows), flush=True)


def _write(record: dict[str, Any], args: argparse.Namespace) -> None:
    from ..record import write
    from .published import figures
    record['figures'] = figures(record['parts'], with_targets=not args.tiny)
    if args.out_dir is not None:
        record['file'] = str(write(record, args.out_dir))


def _summary(record: dict[str, Any]) -> str:
    """The parts and the figures as markdown."""
    from ..markdown_table import markdown_table
    states = [{key: part.get(key) for key in ('name', 'status', 'seconds', 'reason')}
              for part in record['parts']]
    where = record['environment'].get('gpu', 'the CPU, tiny: its times mean nothing')
    text = f'\n# On {where}, {record["minutes"]} minutes\n\n{markdown_table(states)}\n'
    if record['figures']:
        text += f'\n{markdown_table(record["figures"])}\n'
    return text + (f'\nwritten: {record["file"]}' if 'file' in record else '')
