"""Write a config in which a TResNet takes the place of another config's ResNet.

Examples:
    tresnet-mm swap mmdet::atss/atss_r50_fpn_1x_coco.py --arch m
    tresnet-mm swap mmseg::pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py -o psp_tresnet_m.py
    tresnet-mm swap configs/mine.py --arch l -o configs/mine_tresnet_l.py
"""
from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.utils import is_installed

from ..backbone_swap import plan_swap
from ..config_files import find_config
from ..config_tree import parts
from ..models import ARCHS
from .command_line import command, errors_in_one_line, make_parser
from .launch import CONFIG_HELP


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = make_parser('swap', __doc__)
    parser.add_argument('config', help=CONFIG_HELP)
    parser.add_argument('--arch', default='m', choices=ARCHS)
    parser.add_argument('-o', '--out', type=Path, help='file to write; without, it is printed')
    return parser.parse_args(argv)


def child_config(name: str, arch: str, out: Path | None = None) -> str:
    """The text of a config that inherits from ``name`` and swaps its backbone.

    Raises:
        FileNotFoundError: If there is no such config.
        ValueError: If its backbone cannot be swapped.
    """
    path = find_config(name)
    cfg = Config.fromfile(path)
    if any(not isinstance(part.get('type', ''), str) for _, part in parts(cfg.get('model'))):
        raise ValueError(f'{name} gives types as classes, and no config in text can inherit from '
                         'such a one: swap in Python by tresnet_mm.swap_backbone(cfg, arch)')
    swap = plan_swap(cfg, arch)
    lines = [f'# {path.stem} with TResNet-{arch.upper()} as its backbone.']
    lines += [f'# Dropped, since only ResNet has it: {option}' for option in swap.dropped]
    lines += [f'# Note: {note}.' for note in swap.notes]
    changes = swap.changes(cfg)
    if cfg.get('load_from'):
        changes['load_from'] = None
    body = [f'{key} = {render(value, 0)}' for key, value in changes.items()]
    return '\n'.join([*lines, f'_base_ = {base_name(name, path, out)!r}', *body, ''])


def base_name(name: str, path: Path, out: Path | None) -> str:
    """What the written config says for ``_base_``.

    That is ``package::path`` only where mmengine finds the package by the name that it expects, as
    it does not for OneDL's mmsegmentation: mmseg's own tools have to read the file, too.
    """
    if '::' not in name:
        return os.path.relpath(path, out.parent if out else '.')
    package = name.partition('::')[0]
    return name if is_installed(MODULE2PACKAGE.get(package, package)) else str(path)


def render(value: Any, indent: int) -> str:
    """Write a value as configs do, ``dict(...)`` and ``[...]``, on one line where it fits."""
    if isinstance(value, dict) and not all(str(key).isidentifier() for key in value):
        before, after = '{', '}'
        items = [(f'{key!r}: ', item) for key, item in value.items()]
    elif isinstance(value, dict):
        before, after = 'dict(', ')'
        items = [(f'{key}=', item) for key, item in value.items()]
    elif isinstance(value, list):
        before, after = '[', ']'
        items = [('', item) for item in value]
    else:
        return repr(value)
    inner = indent + 4
    one_line = before + ', '.join(name + render(item, 0) for name, item in items) + after
    if inner + len(one_line) <= 90:
        return one_line
    lines = [f'{" " * inner}{name}{render(item, inner)}' for name, item in items]
    return before + '\n' + ',\n'.join(lines) + after


@command('swap')
def main(argv: Sequence[str] | None = None) -> None:
    """Write or print the child config."""
    args = parse_args(argv)
    with errors_in_one_line('swap'):
        text = child_config(args.config, args.arch, args.out)
    if args.out is None:
        print(text, end='')
    else:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(text)
        print(f'wrote {args.out}')
