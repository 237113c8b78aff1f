"""Choose the threshold of each class that gives its best F1 on saved scores.

Of a joint model, ``tresnet-mm test --out scores.npz`` writes a file for each image head, and this
command one of thresholds for each: scores.scene.npz gives thresholds.scene.json.

Examples:
    tresnet-mm thresholds scores.npz thresholds.json
    tresnet-mm thresholds scores.npz thresholds.json --head scene
"""
from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..evaluation import best_f1_thresholds, multilabel_scores, save_thresholds
from ..evaluation.dump_multilabel_scores import head_file
from .command_line import command, errors_in_one_line, make_parser
from .saved_scores import SavedScores, read_head_scores, scores_of_heads


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser('thresholds', __doc__)
    parser.add_argument('scores', help='.npz written by tresnet-mm test --out')
    parser.add_argument('out', help='.json to write; give it to a head as thresholds=')
    parser.add_argument('--default', type=float, default=0.5,
                        help='threshold of classes without positives (default: 0.5)')
    parser.add_argument('--head', metavar='NAME', help="of a joint model: the image head, "
                        "'image_head' or one of image_heads (default: all that have scores)")
    return parser.parse_args(argv)


def chosen(args: argparse.Namespace) -> list[tuple[SavedScores, Path]]:
    """The scores that are asked for, and the file that the thresholds of each go to.

    Raises:
        FileNotFoundError: If there are none.
        ValueError: If a file holds something else, or the head that is asked for predicts one label
            an image.
    """
    path, out = Path(args.scores), Path(args.out)
    if args.head is not None:
        name = None if args.head == 'image_head' else args.head
        found = {path: read_head_scores(path, name)}
    else:
        found = scores_of_heads(path)
    several = []
    for file, saved in found.items():
        if not (saved.head and saved.one_label):
            several.append((saved, out if file == path else head_file(out, saved.head)))
            continue
        told = f'the image head {saved.head!r} predicts the class of highest score, without one'
        if len(found) == 1:
            raise ValueError(f'{file}: {told}')
        print(f'{saved.head}: {told}')
    return several


@command('thresholds')
def main(argv: Sequence[str] | None = None) -> None:
    """Choose, write, and print what was gained."""
    args = parse_args(argv)
    with errors_in_one_line('thresholds', OSError, ValueError):
        found = chosen(args)
    for saved, out in found:
        if len(found) > 1:
            print(f'{saved.head or "image_head"}:')
        choose(saved, out, args.default)


def choose(saved: SavedScores, out: Path, default: float) -> None:
    """Choose and write the thresholds of one head, and print what was gained."""
    scores, targets, classes = saved[:3]
    thresholds, f1 = best_f1_thresholds(scores, targets, default)
    save_thresholds(out, thresholds, classes,
                    f1=[None if np.isnan(v) else float(v) for v in f1], images=len(scores))
    width = max(map(len, classes))
    for name, threshold, value in zip(classes, thresholds, f1, strict=True):
        print(f'{name:{width}}  threshold {threshold:.3f}  F1 {100 * value:5.1f}')
    before = multilabel_scores(scores, targets, default, top_k=None)
    after = multilabel_scores(scores, targets, thresholds.tolist(), top_k=None)
    for key in ('CF1_per_class', 'CF1', 'OF1'):
        print(f'{key}: {before[key]:.2f} at {default:g} -> {after[key]:.2f}')
    print(f'Written to {out}. These scores chose the thresholds: measure on other images.')
