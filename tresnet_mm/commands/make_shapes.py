"""Write a synthetic COCO-format data set of coloured shapes; does nothing where it stands already.

Examples:
    tresnet-mm make-shapes              # data/shapes: 6 classes
    tresnet-mm make-shapes --sparse     # data/shapes_sparse: 48 classes of shape x hue
"""

import argparse
import dataclasses
import time
from collections.abc import Sequence

from ..datasets.shapes import SHAPES_SET, SPARSE_SHAPES_SET, make_shapes
from .command_line import command, make_parser


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; what is not given stays None."""
    parser = make_parser('make-shapes', __doc__)
    parser.add_argument('root', nargs='?', help='folder of the set (default: data/shapes[_sparse])')
    parser.add_argument('--sparse', action='store_true', help='48 classes, few of them an image')
    parser.add_argument('--num-train', type=int, help='training images')
    parser.add_argument('--num-val', type=int, help='validation images')
    parser.add_argument('--size', type=int, help='side of the images in pixels')
    parser.add_argument('--max-objects', type=int, help='most objects an image')
    parser.add_argument('--seed', type=int, help='seed of everything drawn')
    return parser.parse_args(argv)


@command('make-shapes')
def main(argv: Sequence[str] | None = None) -> None:
    """Make the set that the command line describes."""
    args = vars(parse_args(argv))
    sparse, root, _ = args.pop('sparse'), args.pop('root'), args.pop('debug')
    root = root or ('data/shapes_sparse' if sparse else 'data/shapes')
    start = time.perf_counter()
    spec = dataclasses.replace(
        SPARSE_SHAPES_SET if sparse else SHAPES_SET,
        **{name: value for name, value in args.items() if value is not None},
    )
    made = make_shapes(root, spec)
    what = f'{spec.num_train} + {spec.num_val} images of {len(spec.class_names)} classes'
    took = f'written in {time.perf_counter() - start:.1f} s' if made else 'there already'
    print(f'{root}: {what}, {took}')
