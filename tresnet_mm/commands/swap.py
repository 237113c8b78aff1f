"""Write a config in which a TResNet takes the place of another config's ResNet.

Examples:
    tresnet-mm swap mmdet::atss/atss_r50_fpn_1x_coco.py --arch m
    tresnet-mm swap configs/mine.py --arch l -o configs/mine_tresnet_l.py
"""
from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..backbone_swap import custom_imports, plan_swap
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
    base = name if '::' in name else os.path.relpath(path, out.parent if out else '.')
    lines = [f'# {path.stem} with TResNet-{arch.upper()} as its backbone.']
    lines += [f'# Dropped, since only ResNet has it: {option}' for option in swap.dropped]
    lines += [f'# Note: {note}.' for note in swap.notes]
    changes: dict[str, Any] = dict(custom_imports=custom_imports(cfg), model=swap.model)
    if cfg.get('load_from'):
        changes['load_from'] = None
    body = [f'{key} = {render(value, 0)}' for key, value in changes.items()]
    return '\n'.join([*lines, f'_base_ = {base!r}', *body, ''])


def render(value: Any, indent: int) -> str:
    """Write a value as configs do, ``dict(...)`` and ``[...]``, on one line where it fits."""
    if isinstance(value, dict):
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
