"""Predict on images: boxes, labels with their scores, or both, as the model gives them.

Results go to OUT_DIR/preds/NAME.json, one file an image, pictures to OUT_DIR/vis/NAME.jpg.

Examples:
    tresnet-mm predict IMAGE_OR_FOLDER fcos_tresnet_m CHECKPOINT --out-dir out
    tresnet-mm predict 'photos/**/*.jpg' more_photos published.safetensors --batch-size 8
    tresnet-mm predict photos multilabel_tresnet_m_224 MODEL.onnx --top-k 3
"""
from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from glob import has_magic

from ..config_files import shipped_configs
from ..inference import IMAGE_SUFFIXES, Inferencer, list_images
from .command_line import command, errors_in_one_line, make_parser


def parse_args(argv: Sequence[str] | None = None, name: str = 'predict',
               description: str | None = __doc__, out_dir: str = 'outputs') -> argparse.Namespace:
    """The command line, with ``images``, ``model`` and ``weights`` told apart."""
    parser = make_parser(name, description)
    parser.usage = '%(prog)s [options] IMAGES... MODEL [WEIGHTS]'
    parser.add_argument('images', nargs='+', metavar='IMAGES',
                        help='files, folders, patterns in quotation marks, and URLs')
    add_model_arguments(parser)
    parser.add_argument('--out-dir', default=out_dir, help='default: %(default)s')
    add_prediction_options(parser)
    parser.add_argument('--skip-bad', action='store_true',
                        help='leave out images that cannot be read instead of stopping')
    parser.add_argument('--no-save-vis', action='store_true', help='write no pictures')
    args = parser.parse_args(argv)
    # argparse gives the optional WEIGHTS nothing: IMAGES takes what it can.
    if args.weights is None and len(args.images) > 1 and _is_config(args.images[-1]):
        args.weights, args.model = args.model, args.images.pop()
    return args


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add MODEL and WEIGHTS, which `Inferencer` takes."""
    parser.add_argument('model', metavar='MODEL',
                        help='config (file, package::path, or name of one of this package); or, '
                        'without one, a published file or the checkpoint of a run')
    parser.add_argument('weights', nargs='?', metavar='WEIGHTS',
                        help='with a config: checkpoint file or URL, or the .onnx file exported '
                        'with it')


def add_prediction_options(parser: argparse.ArgumentParser) -> None:
    """Add how a model is run, and what of its scores is predicted."""
    parser.add_argument('--batch-size', type=int, default=1, metavar='N',
                        help='images at once (default: %(default)s)')
    parser.add_argument('--device', help='e.g. cpu, cuda:0 (default: what there is)')
    parser.add_argument('--score-thr', type=float, default=0.3, metavar='SCORE',
                        help='give boxes above this score (default: %(default)s)')
    parser.add_argument('--threshold', metavar='P_OR_FILE',
                        help='give labels above this probability, or above those of a file of '
                        "tresnet-mm thresholds (default: the model's, or 0.5)")
    parser.add_argument('--top-k', type=int, metavar='K',
                        help='give the K labels of highest score, whatever the threshold')


def _is_config(text: str) -> bool:
    """Whether an argument names a config, be it a misspelt one, and not images."""
    if '::' in text or text.endswith(('.py', '.json', '.yaml', '.yml')) or (
            text in shipped_configs()):
        return True
    return not (text.lower().endswith(IMAGE_SUFFIXES) or '://' in text or has_magic(text)
                or os.path.lexists(text))


def threshold_of(text: str | None) -> float | str | None:
    """The value of --threshold: a probability, or the name of a file."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return text


@command('predict')
def main(argv: Sequence[str] | None = None) -> None:
    """Predict, and say what was written."""
    run(parse_args(argv), 'predict')


def run(args: argparse.Namespace, name: str) -> None:
    """Do what a command line of `parse_args` says, for the command ``name``."""
    with errors_in_one_line(name, OSError, ValueError):
        list_images(args.images, args.skip_bad)  # a missing one is told before a model is built
        inferencer = Inferencer(args.model, args.weights, args.device)
        count = sum(1 for _ in inferencer.stream(
            args.images, args.out_dir, args.batch_size, args.score_thr,
            threshold_of(args.threshold), args.top_k, args.skip_bad, args.no_save_vis))
    skipped = f', {len(inferencer.skipped)} left out' if inferencer.skipped else ''
    print(f'{count} image{"s" * (count != 1)}{skipped}: '
          f'{args.out_dir}/preds{"" if args.no_save_vis else ", " + args.out_dir + "/vis"}')
