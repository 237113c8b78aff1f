"""Export a classifier or a one-stage detector to ONNX, and check the file against PyTorch.

Batch and image size of the file are dynamic. A detector's file decodes boxes and runs NMS.

Examples:
    tresnet-mm export multilabel_tresnet_m_224 best.pth
    tresnet-mm export fcos_tresnet_m epoch_12.pth -o fcos.onnx --images val2017
"""
from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import mmcv
import torch
from mmengine.config import DictAction
from mmengine.fileio import list_dir_or_file
from mmengine.model import BaseModel
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import load_checkpoint
from torch import Tensor

from ..config_files import read_config
from ..deploy import OnnxModel, export_onnx
from . import launch
from .command_line import command, make_parser

SCORE_TOLERANCE = 1e-3
BOX_TOLERANCE = 0.1  # px
UNMATCHED = 0.01  # detections that fall on either side of a threshold by rounding


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = make_parser('export', __doc__)
    parser.add_argument('config', help=launch.CONFIG_HELP)
    parser.add_argument('checkpoint', help="checkpoint file or URL, or 'none' for random weights")
    parser.add_argument('-o', '--out', help='file to write (default: CONFIG.onnx)')
    parser.add_argument('--size', type=int, nargs=2, default=(224, 224), metavar=('H', 'W'),
                        help='size of the example that is traced (default: 224 224)')
    parser.add_argument('--images', metavar='DIR',
                        help='check on up to 8 images of this folder instead of random ones')
    parser.add_argument('--no-fuse', action='store_true', help='keep the norm layers')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction,
                        help=launch.CFG_OPTIONS_HELP)
    args = parser.parse_args(argv)
    if any(side < 32 or side % 32 for side in args.size):
        parser.error(f'--size: the sides must be multiples of 32, got {args.size}')
    return args


def build_model(args: argparse.Namespace) -> tuple[BaseModel, list[str]]:
    """The model with its weights, and the class names that the checkpoint or the data know.

    Raises:
        FileNotFoundError: If the config or the checkpoint does not exist.
    """
    cfg = launch.merge(read_config(args.config), args)
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    if 'backbone' in cfg.model:
        cfg.model.backbone.init_cfg = None  # the checkpoint holds the weights
    model = MODELS.build(cfg.model)
    classes: Sequence[str] = ()
    if args.checkpoint != 'none':
        launch.check_checkpoint(args.checkpoint)
        checkpoint = load_checkpoint(model, args.checkpoint, map_location='cpu', strict=True)
        classes = checkpoint.get('meta', {}).get('dataset_meta', {}).get('classes', ())
    else:
        model.init_weights()
    return model.eval(), list(classes)


def image_files(folder: str) -> list[Path]:
    """The first 8 images of a folder; FileNotFoundError if it has none."""
    names = list_dir_or_file(folder, list_dir=False, suffix=('.jpg', '.png'))
    paths = [Path(folder) / name for name in sorted(names)[:8]] if Path(folder).is_dir() else []
    if not paths:
        raise FileNotFoundError(f'--images: no .jpg or .png file in {folder}')
    return paths


def examples(args: argparse.Namespace, model: BaseModel) -> Iterator[Tensor]:
    """Preprocessed images (1, 3, H, W): of ``--images``, or random ones of two sizes."""
    if args.images is None:
        h, w = args.size
        yield torch.rand(2, 3, h, w)
        yield torch.rand(1, 3, h + 32, w * 2)
        return
    for path in image_files(args.images):
        image = mmcv.imresize(mmcv.imread(str(path)), args.size[::-1])
        tensor = torch.from_numpy(image).permute(2, 0, 1)
        yield model.data_preprocessor(dict(inputs=[tensor]), False)['inputs']


def check(graph: Any, path: str, images: Iterator[Tensor]) -> str:
    """Compare file and PyTorch model; says by how much they differ.

    Args:
        graph: What ``export_onnx`` returned: a module with ``inputs``, the names of its arguments.
        path: The file.
        images: Preprocessed images (N, 3, H, W).

    Raises:
        RuntimeError: If they differ by more than rounding.
    """
    exported = OnnxModel(path)
    worst, lost, total, count = 0.0, 0, 0, 0
    for image in images:
        sizes = torch.tensor([image.shape[-2:]] * len(image))
        with torch.no_grad():
            expected = graph(*(image, sizes)[:len(graph.inputs)])
        found = exported(image, mode='tensor')
        count += len(image)
        if isinstance(expected, Tensor):
            worst = max(worst, float((expected - found[0]).abs().max()))
        else:
            lost += unmatched(expected, found) + unmatched(found, expected)
            total += len(expected[0]) + len(found[0])
    if worst > SCORE_TOLERANCE:
        raise RuntimeError(f'{path} differs from the PyTorch model: scores by up to {worst:.2g}')
    if lost > UNMATCHED * total:
        raise RuntimeError(f'{path} differs from the PyTorch model: {lost} of {total} detections '
                           'have no counterpart')
    what = f'{total - lost} of {total} detections match' if total else f'scores to {worst:.1g}'
    return f'agrees with PyTorch on {count} images: {what}'


def unmatched(wanted: Sequence[Tensor], given: Sequence[Tensor]) -> int:
    """How many of the wanted detections are not among the given ones.

    Both are boxes (M, 4), scores (M,), labels (M,), images (M,). The order does not matter: scores
    that differ by rounding alone may come either way round.
    """
    boxes, scores, labels, images = (
        (a[:, None] - b[None]).abs() for a, b in zip(wanted, given, strict=True))
    same = (boxes <= BOX_TOLERANCE).all(-1) & (scores <= SCORE_TOLERANCE)
    same &= (labels == 0) & (images == 0)
    return int((~same.any(1)).sum())


@command('export')
def main(argv: Sequence[str] | None = None) -> None:
    """Export and check."""
    args = parse_args(argv)
    path = args.out or f'{Path(args.config).stem}.onnx'
    if args.images is not None:
        image_files(args.images)  # before anything is written
    model, classes = build_model(args)
    graph = export_onnx(model, path, tuple(args.size), not args.no_fuse, classes)
    print(f'written: {path} ({Path(path).stat().st_size / 2**20:.1f} MiB)')
    print(check(graph, path, examples(args, model)))
