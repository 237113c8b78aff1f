"""Draw loss, learning rate and mAP of one or several training runs.

A run that was resumed is one curve. Without --keys there is a panel for the loss, one for the
learning rate, and one for each mAP.

Examples:
    tresnet-mm plot work_dirs/fcos_tresnet_tiny_shapes
    tresnet-mm plot work_dirs/a work_dirs/b --labels SGD AdamW --out compared.png
    tresnet-mm plot work_dirs/a --keys loss_cls loss_bbox coco/bbox_mAP_50
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..visualization import draw_runs, main_keys, read_run
from ..visualization.run_curves import Records, by_epoch, points
from .command_line import command, errors_in_one_line, make_parser


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = make_parser('plot', __doc__)
    parser.add_argument('runs', nargs='+', help='work dirs of runs')
    parser.add_argument('--keys', nargs='+', metavar='KEY',
                        help='what to draw, by the names in vis_data/scalars.json')
    parser.add_argument('--labels', nargs='+', help='names of the runs (default: their folders)')
    parser.add_argument('--out', type=Path, default=Path('curves.png'),
                        help='picture to write, in the format of its suffix (default: %(default)s)')
    return parser.parse_args(argv)


def run_names(paths: Sequence[str], labels: Sequence[str] | None = None) -> list[str]:
    """A name for each run: its label, or its path below the folder that all have in common.

    Raises:
        ValueError: If there are not as many labels as runs, or two runs have one name.
    """
    if labels is not None and len(labels) != len(paths):
        raise ValueError(f'--labels names {len(labels)} runs, and there are {len(paths)}')
    if labels is None:
        whole = [os.path.abspath(path) for path in paths]
        above = os.path.dirname(whole[0]) if len(whole) == 1 else os.path.commonpath(whole)
        labels = [os.path.relpath(path, above) for path in whole]
    twice = sorted({name for name in labels if list(labels).count(name) > 1})
    if twice:
        raise ValueError(f'two runs have the name {twice[0]}')
    return list(labels)


def summary(runs: Mapping[str, Records], keys: Sequence[str]) -> list[str]:
    """A line for each run: the end of what training logs, the best of what validation does."""
    lines = []
    width = max(map(len, runs))
    for name, records in runs.items():
        unit = 'epoch' if by_epoch(records) else 'iteration'
        texts = []
        for key in keys:
            x, y = points(records, key)
            if not x:
                continue
            if any(key in record and 'iter' in record for record in records):
                texts.append(f'{key} {y[-1]:.4g} at the end')
            else:
                best = max(range(len(y)), key=y.__getitem__)
                texts.append(f'{key} at best {y[best]:.4g} ({unit} {x[best]:g})')
        lines.append(f'{name:{width}}  {", ".join(texts)}')
    return lines


@command('plot')
def main(argv: Sequence[str] | None = None) -> None:
    """Read, draw, and print how each run ended."""
    args = parse_args(argv)
    with errors_in_one_line('plot', OSError, ValueError):  # matplotlib's of a suffix, too
        runs = dict(zip(run_names(args.runs, args.labels), map(read_run, args.runs), strict=True))
        keys = args.keys or main_keys(runs)
        args.out.parent.mkdir(parents=True, exist_ok=True)
        draw_runs(runs, keys, args.out)
    print('\n'.join(summary(runs, keys)))
    print(f'Drawn to {args.out}')
