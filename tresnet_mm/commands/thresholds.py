"""Choose the threshold of each class that gives its best F1 on saved scores.

Examples:
    tresnet-mm thresholds scores.npz thresholds.json
"""
from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

from ..evaluation import best_f1_thresholds, multilabel_scores, save_thresholds
from .command_line import command, errors_in_one_line, make_parser


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser('thresholds', __doc__)
    parser.add_argument('scores', help='.npz written by tresnet-mm test --out')
    parser.add_argument('out', help='.json to write; give it to a head as thresholds=')
    parser.add_argument('--default', type=float, default=0.5,
                        help='threshold of classes without positives (default: 0.5)')
    return parser.parse_args(argv)


@command('thresholds')
def main(argv: Sequence[str] | None = None) -> None:
    """Choose, write, and print what was gained."""
    args = parse_args(argv)
    with (errors_in_one_line('thresholds', OSError, ValueError, KeyError),
          np.load(args.scores) as data):
        scores, targets, classes = data['scores'], data['targets'], data['classes'].tolist()
    thresholds, f1 = best_f1_thresholds(scores, targets, args.default)
    save_thresholds(args.out, thresholds, classes,
                    f1=[None if np.isnan(v) else float(v) for v in f1], images=len(scores))
    width = max(map(len, classes))
    for name, threshold, value in zip(classes, thresholds, f1, strict=True):
        print(f'{name:{width}}  threshold {threshold:.3f}  F1 {100 * value:5.1f}')
    before = multilabel_scores(scores, targets, args.default, top_k=None)
    after = multilabel_scores(scores, targets, thresholds.tolist(), top_k=None)
    for key in ('CF1_per_class', 'CF1', 'OF1'):
        print(f'{key}: {before[key]:.2f} at {args.default:g} -> {after[key]:.2f}')
    print(f'Written to {args.out}. These scores chose the thresholds: measure on other images.')
