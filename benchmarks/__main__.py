"""Measure layers, losses, networks, the data pipeline and evaluation, always side by side.

Every figure is a ratio from one run that alternates the contenders, with medians over the rounds.

    python -m benchmarks all --quick
    python -m benchmarks all --out-dir benchmarks/results
    python -m benchmarks layers
    python -m benchmarks backbones --against r50,inplace_abn --train --batch-size 8
    python -m benchmarks gpu --help   # what only a GPU can tell, with options of its own
"""
from __future__ import annotations

import argparse
import importlib
import sys
import time
from collections.abc import Sequence
from typing import Any

import torch

from .record import report

# subject -> (module of this folder, what it measures)
SUBJECTS = {
    'layers': ('layers', 'in-place ABN and blur pool against plain layers and inplace-abn'),
    'losses': ('losses', 'the asymmetric losses against their plain forms'),
    'heads': ('models', 'multi-label heads'),
    'backbones': ('networks', 'TResNet against ResNet-50 and TResNet with inplace-abn'),
    'detectors': ('models', 'whole detectors'),
    'classifiers': ('models', 'whole multi-label classifiers'),
    'pipeline': ('pipeline', 'image decoding, data pipelines and the training loop itself'),
    'evaluation': ('evaluation', 'COCO evaluation and the multi-label metric'),
    'readers': ('readers', 'time and memory of files that are made to waste them'),
    'onnx': ('onnx', 'onnxruntime, torch.compile, fused and eager inference'),
    'deployment': ('deployment', 'trained models in PyTorch, onnxruntime and OpenVINO: mAP, time'),
    'quantization': ('quantization', 'files in 8 bits: mAP and time by what stays in float'),
    'scale': ('scale', 'cost against batch size, image size, classes and processes'),
    'exchange': ('exchange', 'what processes exchange a step, and a model of its time'),
    'summary': ('summary', "what --out-dir's files say against the targets and the paper"),
}


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line as a namespace; ``batch_size`` is an int or 'auto'."""
    parser = argparse.ArgumentParser(
        prog='python -m benchmarks', description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('subject', choices=[*SUBJECTS, 'all'],
                        help='; '.join(f'{name}: {text}' for name, (_, text) in SUBJECTS.items()))
    parser.add_argument('--device', default='cpu', choices=['cpu', 'cuda'])
    parser.add_argument('--arch', default='m', help='TResNet arch (default: m)')
    parser.add_argument('--against', default='r50,inplace_abn,published',
                        help='contenders, comma-separated: r50; TResNet with inplace_abn, with bn, '
                        'with conv2d; published: TResNet of what the published code is made of '
                        "(inplace-abn, PyTorch's convolutions, blur and gates kept for backward)")
    parser.add_argument('--train', action='store_true', help='only training')
    parser.add_argument('--infer', action='store_true', help='only inference')
    parser.add_argument('--amp', action='store_true', help='autocast (bfloat16 on CPU, else fp16)')
    parser.add_argument('--channels-last', action='store_true',
                        help='only this memory format (default: both)')
    parser.add_argument('--nchw', action='store_true',
                        help='only this memory format (default: both)')
    parser.add_argument('--compile', action='store_true', help='add torch.compile contenders')
    parser.add_argument('--models', nargs='+', metavar='NAME',
                        help='of deployment and quantization: only these, beside the rows of '
                        'others that --out-dir has')
    parser.add_argument('--batch-size', type=_batch_size, default=None, metavar='N|auto',
                        help='images a batch; auto: the largest that fits')
    parser.add_argument('--image-size', type=int, default=None, help='side in pixels')
    parser.add_argument('--rounds', type=int, default=None, help='timed rounds (default: 7)')
    parser.add_argument('--quick', action='store_true', help='smaller inputs, fewer rounds')
    parser.add_argument('--out-dir', default=None,
                        help='folder for JSON and plots (default: only print)')
    args = parser.parse_args(argv)
    if args.device == 'cuda' and not torch.cuda.is_available():
        parser.error('--device cuda: PyTorch sees no GPU here')
    if args.rounds is None:
        args.rounds = 3 if args.quick else 7
    if args.rounds < 1:
        parser.error(f'--rounds must be 1 or more, got {args.rounds}')
    return args


def _batch_size(text: str) -> int | str:
    """``auto`` or a positive integer."""
    if text == 'auto':
        return text
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a positive integer or 'auto', got {text!r}")
    return int(text)


def run_subject(subject: str, args: argparse.Namespace) -> dict[str, Any]:
    """Run one subject's module and report its rows."""
    module = importlib.import_module(f'.{SUBJECTS[subject][0]}', __package__)
    start = time.time()
    rows = module.run(argparse.Namespace(**{**vars(args), 'subject': subject}))
    record = report(subject, rows, args.out_dir,
                           minutes=round((time.time() - start) / 60, 2))
    if args.out_dir is not None:
        from . import plots  # matplotlib, which printing does not need
        for path in plots.draw(record, args.out_dir):
            print(f'written: {path}', flush=True)
    return record


def main(argv: Sequence[str] | None = None) -> int:
    """Run the chosen subject, or all of them one after the other; the exit status."""
    argv = sys.argv[1:] if argv is None else argv
    if argv and argv[0] == 'gpu':
        from .gpu import command
        return command.main(argv[1:])
    args = parse_args(argv)
    subjects = list(SUBJECTS) if args.subject == 'all' else [args.subject]
    if args.subject == 'all' and args.out_dir is None:
        subjects.remove('summary')  # it reads files
    for subject in subjects:
        run_subject(subject, args)
    return 0


if __name__ == '__main__':
    sys.exit(main())
