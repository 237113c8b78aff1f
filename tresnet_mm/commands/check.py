"""Hold a config, its data and a checkpoint against each other, without running anything.

Examples:
    tresnet-mm check fcos_tresnet_m
    tresnet-mm check configs/mine.py work_dirs/mine/epoch_12.pth
    tresnet-mm check configs/mine.py --cfg-options model.bbox_head.num_classes=3

Without a checkpoint the config is checked for training, with one for testing it; --task says
otherwise. The exit status is 1 where something does not agree, and 2 where it could not be checked.
"""
from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from mmengine.config import Config, DictAction

from ..checks import CHECKS, Problem, Subject
from ..checks.subject import Task
from ..checks.table import objects_table, rows
from ..datasets.annotations import release_coco_files
from ..preflight import find_problems
from . import launch
from .command_line import STATUS, command, make_parser


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = make_parser('check', __doc__)
    parser.add_argument('config', help=launch.CONFIG_HELP)
    parser.add_argument('checkpoint', nargs='?', help='checkpoint file or tresnet:// name')
    parser.add_argument('--task', choices=['train', 'test'],
                        help='what the config is to be used for (default: test with a checkpoint, '
                        'else train)')
    parser.add_argument('--work-dir', help="folder of the run (default: the config's)")
    parser.add_argument('--cfg-options', nargs='+', action=DictAction,
                        help=launch.CFG_OPTIONS_HELP)
    parser.set_defaults(launcher='none')
    return parser.parse_args(argv)


def report(subject: Subject, problems: Sequence[Problem]) -> str:
    """The table, what agrees, and what does not, as text."""
    table = list(rows(subject))
    width = max(len(name) for name, _ in table)
    lines = [f'{name:{width}}  {text}' for name, text in table]
    lines += ['', *objects_table(subject), '']
    for topic, checks in CHECKS.items():
        names = {check.__name__.removeprefix('check_') for check in checks}
        found = {problem.severity for problem in problems if problem.check in names}
        verdict = next((kind for kind in ('error', 'note', 'not made') if kind in found), 'agrees')
        lines.append(f'{topic:{width}}  {verdict}')
    lines += ['', *(f'{problem.severity}: {problem}' for problem in problems)]
    return '\n'.join(lines).rstrip()


def require_agreement(task: Task, cfg: Config, checkpoint: str | None = None,
                      command: str | None = None) -> None:
    """Make all checks before a run; where something does not agree, say what and exit.

    In several processes the first one speaks for all.

    Args:
        task: 'train' or 'test'.
        cfg: The config, as the runner would get it.
        checkpoint: As of `tresnet_mm.preflight`.
        command: Which command speaks; the task where None.
    """
    problems = find_problems(Subject(cfg, checkpoint, task, keep=True))
    lines = {severity: [f'{command or task}: {severity}: {problem}' for problem in problems
                        if problem.severity == severity]
             for severity in ('note', 'not made', 'error')}
    ranks = (os.environ.get(name) for name in ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK'))
    first = next((rank for rank in ranks if rank is not None), '0') == '0'
    for line in (*lines['note'], *lines['not made']) if first else ():
        print(line, file=sys.stderr)
    if lines['error']:
        release_coco_files()  # no run follows that would take them over
        if first:
            print(*lines['error'], sep='\n', file=sys.stderr)
        sys.exit(STATUS)


@command('check')
def main(argv: Sequence[str] | None = None) -> int:
    """Print the report; 1 where something does not agree."""
    args = parse_args(argv)
    cfg = launch.load_config(args)
    if args.checkpoint:
        launch.check_checkpoint(args.checkpoint)
    subject = Subject(cfg, args.checkpoint, args.task or ('test' if args.checkpoint else 'train'))
    problems = find_problems(subject)
    print(report(subject, problems))
    return int(any(problem.severity == 'error' for problem in problems))
