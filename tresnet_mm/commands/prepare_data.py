"""Own data to a data set, its split, a report and a config that trains. The source stays as it is.

Examples:
    tresnet-mm prepare-data SOURCE prepared
    tresnet-mm prepare-data SOURCE prepared --task both --arch tiny
    tresnet-mm prepare-data SOURCE prepared --folds 2 --copy-images

A source is a folder of VOC's, YOLO's or COCO's files, a table of labels, or a folder of folders
named after the classes; which one is found out and said. Where it has a split of its own, that is
kept. OUT is there whole or not at all.
"""
from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

import torch

from ..preparation.choices import ARCHS, TASKS
from ..preparation.image_groups import read_groups
from ..preparation.prepare import (
    Parts,
    Wishes,
    default_task,
    prepare,
    require_apart,
    require_fit,
)
from ..preparation.read_source import read_source
from ..preparation.source_data import SourceData
from ..whole_folder import refuse_what_is_there
from .command_line import command, make_parser


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = make_parser('prepare-data', __doc__)
    parser.add_argument('source', type=Path, help='folder or file of own data')
    parser.add_argument('out', type=Path, help='folder to write: new or empty')
    parser.add_argument('--task', choices=TASKS, help='what to learn (default: what is annotated)')
    parser.add_argument('--format', help='of the source (default: found out)')
    parser.add_argument('--val', type=share, default=0.15, help='for validation (default: 0.15)')
    parser.add_argument('--test', type=share, default=0.15, help='for the test (default: 0.15)')
    parser.add_argument('--group', help='keep images together that share what this regular '
                        'expression finds in their names, such as "patient[0-9]+"; or a .json '
                        'file of the group of each name, as the report writes one')
    parser.add_argument('--resplit', action='store_true',
                        help='split anew where the source has a split of its own')
    parser.add_argument('--folds', type=number_of_folds, help='that many splits, a config each')
    parser.add_argument('--seed', type=int, default=0, help='of the split and the training')
    parser.add_argument('--arch', choices=ARCHS, help='tiny: small, from scratch, for a CPU; '
                        'm: TResNet-M (default: m where there is a GPU)')
    weights = parser.add_mutually_exclusive_group()
    weights.add_argument('--pretrained', action='store_true', default=True,
                         help='published weights for arch m, downloaded by the first run (default)')
    weights.add_argument('--scratch', dest='pretrained', action='store_false',
                         help='no published weights')
    parser.add_argument('--copy-images', action='store_true',
                        help='copy the images into OUT, so that it can be moved as one')
    args = parser.parse_args(argv)
    if args.val == 0:
        parser.error('--val must be more than 0: the best epoch is chosen on that part')
    if args.val + args.test >= 1:
        parser.error(f'--val {args.val} and --test {args.test} leave nothing to train on')
    return args


def share(text: str) -> float:
    """A part's share of the images: 0 <= share < 1."""
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f'must be at least 0 and less than 1, got {text}')
    return value


def number_of_folds(text: str) -> int:
    """At least two."""
    value = int(text)
    if value < 2:
        raise argparse.ArgumentTypeError(f'must be at least 2, got {text}')
    return value


def default_arch() -> tuple[str, str]:
    """The network to begin with, and why."""
    if torch.cuda.is_available():
        return 'm', 'there is a GPU'
    return 'tiny', 'there is no GPU, and TResNet-M is too slow without one'


def counts(data: SourceData, parts: Parts) -> str:
    """A line a part: its images and objects."""
    return '\n'.join(
        f'  {name:6}{len(members):6} images '
        f'{sum(len(data.images[index].boxes or ()) for index in members):7} objects'
        for name, members in parts.items())


def plain(markdown: str) -> str:
    """A point of the report without its marks, links and list."""
    line = re.sub(r'\[([^]]*)\]\([^)]*\)', r'\1', markdown.splitlines()[0])
    return re.sub(r'\\(\W|_)', r'\1', line.replace('**', '').replace(' (picture, list)', ''))


@command('prepare-data')
def main(argv: Sequence[str] | None = None) -> None:
    """Read, split, write, and say what was done."""
    args = parse_args(argv)
    refuse_what_is_there(args.out)
    require_apart(args.source, args.out)
    group = read_groups(args.group) if (args.group or '').endswith('.json') else args.group
    data = read_source(args.source, args.format)
    print(f'{args.source}: {data.format}, {len(data.images)} images, {len(data.classes)} classes')
    for note in data.notes:
        print(f'  {note}')
    task, why = (args.task, 'as asked') if args.task else default_task(data)
    print(f'task: {task} ({why}; --task has {", ".join(TASKS)})')
    require_fit(data, task)
    arch, why = (args.arch, 'as asked') if args.arch else default_arch()
    print(f'network: {arch} ({why}; --arch has {", ".join(ARCHS)})')
    found = prepare(data, Wishes(
        task=task, arch=arch, val=args.val, test=args.test, group=group, folds=args.folds,
        resplit=args.resplit, seed=args.seed, pretrained=args.pretrained,
        copy_images=args.copy_images), args.out)
    for number, parts in enumerate(found.parts):
        print(f'fold {number}:' if args.folds else 'split:')
        print(counts(data, parts))
    config = args.out / ('config_fold0.py' if args.folds else 'config.py')
    print('\n'.join(f'! {line}' for line in map(plain, found.look_first)))
    print(f'look at {args.out / "report" / "report.md"}, then\n'
          f'  tresnet-mm browse {config}\n  tresnet-mm check {config}\n'
          f'  tresnet-mm train {config}')
