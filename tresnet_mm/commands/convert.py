"""Convert a published TResNet checkpoint (TResNet, ASL, ML-Decoder, timm) to this package's keys.

Converting is optional: ``load_from`` and ``init_cfg`` take the published files themselves.

Examples:
    tresnet-mm convert tresnet://m_in21k_ft_in1k tresnet_m.pth
    tresnet-mm convert tresnet_l.pth backbone.safetensors --backbone-only
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ..checkpoint import convert, meta_of, read_source, write_file
from ..models import ARCHS
from .command_line import command, errors_in_one_line, make_parser


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = make_parser('convert', __doc__)
    parser.add_argument('src', help='checkpoint: path, URL, tresnet://NAME or hf://USER/REPO')
    parser.add_argument('dst', help='file to write, .pth or .safetensors')
    parser.add_argument('--arch', choices=list(ARCHS), help='stop if it is of another arch')
    parser.add_argument('--norm', choices=('BN', 'InPlaceABN'), default='InPlaceABN',
                        help='norm layer of the model it is for (default: %(default)s)')
    parser.add_argument('--source-norm', choices=('BN', 'InPlaceABN'),
                        help='norm layer that the values of SRC are for, where its format does '
                        'not tell: BN for a network in the published layout that was trained with '
                        'plain batch norm')
    parser.add_argument('--backbone-only', action='store_true',
                        help='leave out everything but the backbone, e.g. for other classes')
    return parser.parse_args(argv)


@command('convert')
def main(argv: Sequence[str] | None = None) -> None:
    """Convert and say what was found."""
    args = parse_args(argv)
    with errors_in_one_line('convert', OSError, TypeError, ValueError):
        content = read_source(args.src)
    try:
        converted = convert(content, norm=args.norm, arch=args.arch, source_norm=args.source_norm)
    except (TypeError, ValueError) as error:
        raise ValueError(f'{args.src}: {error}') from error
    if args.backbone_only:
        converted = converted.backbone_only()
    write_file(args.dst, converted.state_dict, meta_of(converted))
    head = 'no image-level head'
    if converted.head:
        groups = f' in {converted.num_groups} groups' if converted.num_groups else ''
        head = f'{converted.head} head for {converted.num_classes} classes{groups}'
    print(f'{args.src}: family {converted.family}, arch {converted.arch}, {head}\n'
          f'wrote {len(converted.state_dict)} tensors for {converted.norm} to {args.dst}')
