"""The command line that the experiments on real photographs share."""
from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tresnet_mm.commands.runs import RunError

from .small_sets import make_small
from .trainings import RESULTS, Trainings, read_runs

DATA = Path('work_dirs/experiments/data')


def parse_args(name: str, doc: str | None, argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line of an experiment."""
    parser = argparse.ArgumentParser(
        prog=f'python -m benchmarks.experiments.{name}', description=doc,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', type=Path, help='the data set as it was published')
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2], metavar='SEED')
    parser.add_argument('--jobs', type=int, default=1, help='trainings at a time, a core each')
    parser.add_argument('--table', action='store_true', help='only print the table of what is kept')
    return parser.parse_args(argv)


def experiment(name: str, doc: str | None, trainings: Callable[[Path, Sequence[int]], Trainings],
               table: Callable[[Sequence[dict]], str], long_side: int,
               argv: Sequence[str] | None = None) -> None:
    """Make the small data, train what has no result yet, print the table.

    Args:
        name: Of the module, of its file of results and of its folder of data.
        doc: What the help says.
        trainings: The runs, from the folder of the small data and the seeds.
        table: Markdown of the runs.
        long_side: Of the images, in pixels.
        argv: The command line; ``sys.argv`` if None.
    """
    args = parse_args(name, doc, argv)
    if args.table:
        print(table(read_runs(RESULTS / f'{name}.json')))
        return
    if args.data is None:
        sys.exit(f'{name}: --data names the folder of the data set')
    data = DATA / f'{args.data.name}_{long_side}'
    try:
        make_small(args.data, data, long_side)
        runs = trainings(data, args.seeds).run(args.jobs)
    except (RunError, FileNotFoundError, ValueError) as error:
        sys.exit(f'{name}: {error}')
    print(f'\n{table(runs)}')
