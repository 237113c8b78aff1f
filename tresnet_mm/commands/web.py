"""Show what models say of images, on a page in the browser.

Drop images on the page, choose a model, move the thresholds, look at the map of a class. The page
can be reached from this machine alone, unless --host says otherwise.

Examples:
    tresnet-mm web published.safetensors
    tresnet-mm web fcos_tresnet_m=epoch_12.pth multilabel_tresnet_m_224=best.pth --port 8000
"""
from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..inference import Inferencer
from ..web.own_folder import own_folder
from ..web.web_model import WebModel
from .command_line import command, make_parser


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = make_parser('web', __doc__)
    parser.add_argument('models', nargs='+', metavar='MODEL[=WEIGHTS]',
                        help='a published file or the checkpoint of a run; or a config (file, '
                        'package::path, or name of one of this package), = and its checkpoint')
    parser.add_argument('--host', default='127.0.0.1',
                        help='address to listen on (default: %(default)s, this machine alone); '
                        'there is no password')
    parser.add_argument('--port', type=int, default=7860,
                        help='0 takes a free one (default: %(default)s)')
    parser.add_argument('--max-mb', type=float, default=20, metavar='MB',
                        help='the largest file (default: %(default)s)')
    parser.add_argument('--max-pixels', type=int, default=50_000_000, metavar='N',
                        help='the largest image, width times height (default: %(default)s)')
    parser.add_argument('--device', help='e.g. cpu, cuda:0 (default: what there is)')
    return parser.parse_args(argv)


def split_model(text: str) -> tuple[str, str | None]:
    """A model and its weights; weights alone, be they a file or an address, may have a ``=``."""
    model, _, weights = text.partition('=')
    if not weights or '://' in model or os.path.lexists(text):
        return text, None
    return model, weights


def names_of(models: Sequence[str]) -> list[str]:
    """What to call models: by their file's name, and by its folder's where that is not enough."""
    paths = [Path(model) for model in models]
    for names in ([path.stem for path in paths],
                  [f'{path.parent.name}/{path.stem}' for path in paths]):
        if len(set(names)) == len(names):
            return names
    return [f'{path.stem} ({number})' for number, path in enumerate(paths, 1)]


@command('web')
def main(argv: Sequence[str] | None = None) -> None:
    """Load the models and serve the page until interrupted."""
    args = parse_args(argv)
    pairs = [split_model(text) for text in args.models]
    names = names_of([model for model, _ in pairs])
    with _tidy_end(), own_folder() as folder:
        try:
            from ..web.server import Limits, serve  # gradio is an extra, and slow to import
        except ModuleNotFoundError as error:
            if error.name != 'gradio':
                raise
            raise ValueError('the page needs gradio, which is not installed; run: '
                             "pip install 'tresnet_mm[web]'") from error
        limits = Limits(args.max_mb, args.max_pixels)
        models = [WebModel(name, Inferencer(model, weights, args.device, show_progress=False),
                           limits.max_pixels)
                  for name, (model, weights) in zip(names, pairs, strict=True)]
        try:
            serve(models, folder, args.host, args.port, limits, _announce)
        except KeyboardInterrupt:
            print()


@contextmanager
def _tidy_end() -> Iterator[None]:
    """Have other programs end this one as Ctrl+C does: what visitors uploaded is removed."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _announce(address: str) -> None:
    print(f'The page is at {address} (Ctrl+C ends it)', flush=True)
