"""Quantise a file of tresnet-mm export to 8 bits, calibrated on images as the model will see.

The images need no labels. They are prepared as the file's metadata say, or by the test pipeline of
--config where a file says nothing. Some parts stay in float, which of them docs/deployment_speed.md
measures; evaluate the new file with tresnet-mm test ... --backend onnxruntime.

Examples:
    tresnet-mm quantize fcos.onnx fcos_int8.onnx --images train2017
    tresnet-mm quantize fcos.onnx fcos_int8.onnx --images train2017 --float first last decoding
    tresnet-mm quantize fcos.onnx fcos_int8.onnx --images train2017 --config fcos_tresnet_m
"""
from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ..deploy.onnx_parts import PARTS
from ..deploy.quantize import FLOAT_PARTS, quantize_onnx
from ..inference import Inferencer
from ..inference.image_sources import ImageSource, list_images
from .command_line import command, make_parser

DEFAULT_COUNT = 32


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = make_parser('quantize', __doc__)
    parser.add_argument('file', help='file of tresnet-mm export')
    parser.add_argument('out', help='file to write')
    parser.add_argument('--images', required=True, metavar='DIR',
                        help='folder of images like those that the model will see')
    parser.add_argument('--count', type=int, default=DEFAULT_COUNT, metavar='N',
                        help='take so many, spread over the folder (default: %(default)s)')
    parser.add_argument('--config', help='config whose test pipeline prepares them')
    parser.add_argument('--float', nargs='*', choices=PARTS, default=FLOAT_PARTS, metavar='PART',
                        dest='float_parts', help='what stays in float, of ' + '; '.join(
                            f'{name}: {what}' for name, what in PARTS.items())
                        + f' (default: {" ".join(FLOAT_PARTS)})')
    parser.add_argument('--reduce-range', action='store_true',
                        help='weights in 7 bits, for x86 processors without VNNI')
    args = parser.parse_args(argv)
    if args.count < 1:
        parser.error(f'--count must be 1 or more, got {args.count}')
    return args


def spread(images: Sequence[ImageSource], count: int) -> list[ImageSource]:
    """At most ``count`` of the images, evenly over all."""
    if len(images) <= count:
        return list(images)
    return [images[number * len(images) // count] for number in range(count)]


def feeds(args: argparse.Namespace, images: Sequence[ImageSource]) -> Iterator[dict]:
    """The file's inputs of each image, by name."""
    if args.config is None:
        from ..deploy.onnx_runner import OnnxRunner  # needs onnxruntime
        runner = OnnxRunner(args.file)
        for image in images:
            yield runner.feed(image.path)
        return
    inferencer = Inferencer(args.config, args.file, show_progress=False)
    for (prepared, ) in inferencer.preprocess(images, batch_size=1, skip_bad=False):
        data = inferencer.collate_fn([prepared.data])
        batch = inferencer.model.data_preprocessor(data)['inputs']
        yield dict(images=batch.float().numpy(),
                   sizes=np.array([prepared.data['inputs'].shape[-2:]], np.int64))


@command('quantize')
def main(argv: Sequence[str] | None = None) -> None:
    """Calibrate and write."""
    args = parse_args(argv)
    images = spread(list_images(args.images), args.count)
    report = quantize_onnx(args.file, args.out, feeds(args, images), args.float_parts,
                           args.reduce_range)
    before, after = (Path(path).stat().st_size / 2**20 for path in (args.file, args.out))
    print(f'written: {args.out} ({after:.1f} MiB, from {before:.1f}): {report}')
