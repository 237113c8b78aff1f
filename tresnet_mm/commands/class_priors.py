"""Estimate how common each class is where few labels are known: the mean of a model's scores.

For ``PartialAsymmetricLoss``, as its paper does it (arXiv 2110.10955): a first model is trained on
the known labels alone (``mode='ignore'``) and scores the training images. Shares that are counted
from the known labels say more about what people were asked to look for.

Examples:
    tresnet-mm class-priors scores.npz priors.json
"""
from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

from ..class_values import save_class_values
from .command_line import command, errors_in_one_line, make_parser
from .saved_scores import read_scores


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser('class-priors', __doc__)
    parser.add_argument('scores', help='.npz written by tresnet-mm test --out, of training images')
    parser.add_argument('out', help='.json to write; give it to the loss as class_priors=')
    parser.add_argument('--top', type=int, default=10, metavar='N',
                        help='how many of the most common classes to print (default: 10)')
    return parser.parse_args(argv)


@command('class-priors')
def main(argv: Sequence[str] | None = None) -> None:
    """Estimate, write, and print the most common classes beside what is known of them."""
    args = parse_args(argv)
    with errors_in_one_line('class-priors', OSError, ValueError):
        scores, targets, classes = read_scores(args.scores)[:3]
        if not len(scores):
            raise ValueError(f'{args.scores} holds no image')
        priors = scores.mean(0, dtype=np.float64)
        save_class_values(args.out, 'priors', priors, classes, images=len(scores))
    width = max(map(len, classes))
    for place in np.argsort(-priors, kind='stable')[:args.top]:
        known = targets[:, place] >= 0
        shown = (f'{(targets[known, place] == 1).mean():.3f} of {known.sum()} images where it is '
                 'known' if known.any() else 'known in no image')
        print(f'{classes[place]:{width}}  prior {priors[place]:.3f}  ({shown})')
    print(f'Written to {args.out}: {len(classes)} classes, from the scores of {len(scores)} '
          'images.')
