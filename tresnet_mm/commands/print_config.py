"""Print a config with its bases and changes merged in.

Examples:
    tresnet-mm print-config fcos_tresnet_m
    tresnet-mm print-config my_config.py --cfg-options model.backbone.arch=l
"""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.config import DictAction

from ..config_files import read_config
from .command_line import command, make_parser
from .launch import CFG_OPTIONS_HELP, CONFIG_HELP, merge


@command('print-config')
def main(argv: Sequence[str] | None = None) -> None:
    """Load, change, and print or write."""
    parser = make_parser('print-config', __doc__)
    parser.add_argument('config', help=CONFIG_HELP)
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help=CFG_OPTIONS_HELP)
    parser.add_argument('--save-path', metavar='FILE', help='write it to a file instead')
    args = parser.parse_args(argv)
    cfg = merge(read_config(args.config), args)
    if args.save_path:
        cfg.dump(args.save_path)
    else:
        print(cfg.pretty_text)
