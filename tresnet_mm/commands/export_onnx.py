"""Export a model to ONNX, and check the file against PyTorch.

Batch and image size of the file are dynamic. A detector's file decodes boxes and runs NMS; every
file says what its classes are and how images are prepared for it, and tresnet_mm/deploy/
onnx_runner.py, which can be copied, runs it without this package.

Examples:
    tresnet-mm export multilabel_tresnet_m_224 best.pth
    tresnet-mm export fcos_tresnet_m epoch_12.pth -o fcos.onnx --images val2017
    tresnet-mm export out/net-0123abcd.safetensors --with-preprocessing
"""
from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, DictAction
from mmengine.fileio import list_dir_or_file
from mmengine.model import BaseModel
from mmengine.registry import MODELS, TRANSFORMS, DefaultScope
from torch import Tensor

from .. import __version__
from ..config_files import read_config
from ..config_tree import parts, type_name
from ..deploy import OnnxModel, export_onnx
from ..deploy.onnx_metadata import describe_preprocessing
from ..inference import Inferencer
from ..inference.model_source import find_model, read_model
from . import launch
from .command_line import command, make_parser

SCORE_TOLERANCE = 1e-3
BOX_TOLERANCE = 0.1  # px
#: How much more is allowed where the file resizes: a level of 255 is rounded differently at times.
RESIZING = 10
UNMATCHED = 0.01  # detections that fall on either side of a threshold by rounding


@dataclass(frozen=True)
class Exported:
    """What is to be exported.

    Attributes:
        model: With its weights.
        transforms: The test pipeline, built.
        scope: The registries' scope of the config.
        classes: Names of the boxes' classes, or of a classifier's.
        image_classes: Those of each named image head.
    """

    model: BaseModel
    transforms: Sequence[Any]
    scope: str
    classes: Sequence[str] = ()
    image_classes: Mapping[str, Sequence[str]] = field(default_factory=dict)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = make_parser('export', __doc__)
    parser.add_argument('config', help=f'{launch.CONFIG_HELP}; or, alone, a published file or a '
                        'checkpoint of a run, which say what model they are of')
    parser.add_argument('checkpoint', nargs='?',
                        help="checkpoint file or URL, or 'none' for random weights")
    parser.add_argument('-o', '--out', help='file to write (default: CONFIG.onnx)')
    parser.add_argument('--size', type=int, nargs=2, default=(224, 224), metavar=('H', 'W'),
                        help='size of the example that is traced (default: 224 224)')
    parser.add_argument('--with-preprocessing', action='store_true',
                        help='a file that takes pixels, uint8 (N, H, W, 3) in RGB, and resizes and '
                        "normalises them itself; boxes are in the pixels' coordinates")
    parser.add_argument('--images', metavar='DIR',
                        help='check on up to 8 images of this folder instead of random ones')
    parser.add_argument('--no-fuse', action='store_true', help='keep the norm layers')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction,
                        help=launch.CFG_OPTIONS_HELP)
    args = parser.parse_args(argv)
    if any(side < 32 or side % 32 for side in args.size):
        parser.error(f'--size: the sides must be multiples of 32, got {args.size}')
    return args


def load(args: argparse.Namespace) -> Exported:
    """Build the model that the command line names.

    Raises:
        FileNotFoundError: If the config or the checkpoint does not exist.
        ValueError, CheckpointMismatch: As `Inferencer`.
    """
    if args.checkpoint == 'none':
        return _untrained(read_model(launch.merge(read_config(args.config), args)))
    if args.checkpoint is None:
        source = find_model(args.config)
        cfg, checkpoint = launch.merge(source.cfg, args), source.weights
    else:
        cfg, checkpoint = launch.merge(read_config(args.config), args), args.checkpoint
        launch.check_checkpoint(checkpoint)
    if checkpoint.endswith('.onnx'):
        raise ValueError(f'{checkpoint} is exported already')
    run = Inferencer(cfg, checkpoint, 'cpu', show_progress=False)
    return Exported(run.model.eval(), [run.loader.files, *run.pipeline.transforms],
                    run.source.scope, run.classes, run.dataset_meta['image_classes'])


def _untrained(cfg: Config) -> Exported:
    scope = cfg.get('default_scope') or 'mmengine'
    for _, part in parts(cfg.model):
        start = part.get('init_cfg')
        if isinstance(start, Mapping) and type_name(start.get('type')) == 'Pretrained':
            part['init_cfg'] = None  # nothing is downloaded
    with DefaultScope.overwrite_default_scope(scope):
        model = MODELS.build(cfg.model)
        transforms = [TRANSFORMS.build(step) for step in cfg.test_pipeline]
    model.init_weights()
    return Exported(model.eval(), transforms, scope)


def image_files(folder: str) -> list[Path]:
    """The first 8 images of a folder; FileNotFoundError if it has none."""
    names = list_dir_or_file(folder, list_dir=False, suffix=('.jpg', '.png'))
    paths = [Path(folder) / name for name in sorted(names)[:8]] if Path(folder).is_dir() else []
    if not paths:
        raise FileNotFoundError(f'--images: no .jpg or .png file in {folder}')
    return paths


def examples(args: argparse.Namespace, exported: Exported, inputs: Sequence[str]
             ) -> Iterator[tuple[Tensor, ...]]:
    """Inputs of the file, by their names: of ``--images``, or random ones of two sizes."""
    if args.images is None:
        (h, w), pixels = args.size, 'pixels' in inputs
        for n, height, width in ((2, h, w), (1, h + 32, w * 2)):
            shape = (n, height, width, 3) if pixels else (n, 3, height, width)
            images = torch.randint(256, shape, dtype=torch.uint8) if pixels else torch.rand(shape)
            sizes = torch.tensor([[height, width]] * n)
            sizes[-1] -= torch.tensor([height // 4, 0])  # padded
            yield (images, sizes)[:len(inputs)]
        return
    for path in image_files(args.images):
        yield _prepared(path, exported, inputs)


def _prepared(path: Path, exported: Exported, inputs: Sequence[str]) -> tuple[Tensor, ...]:
    """The file's inputs of an image file."""
    load, *steps = exported.transforms
    with DefaultScope.overwrite_default_scope(exported.scope):
        record = load(dict(img_path=str(path), img_id=0))
        if 'pixels' in inputs:
            return (torch.from_numpy(record['img'][..., ::-1].copy())[None], )
        for step in steps:
            record = step(record)
        data = dict(inputs=[record['inputs']], data_samples=[record['data_samples']])
        images = exported.model.data_preprocessor(data, False)['inputs']
    sizes = torch.tensor([record['inputs'].shape[-2:]])
    return (images, sizes)[:len(inputs)]


def check(graph: Any, path: str, inputs: Iterator[tuple[Tensor, ...]]) -> str:
    """Compare file and PyTorch model; says by how much they differ.

    Args:
        graph: What ``export_onnx`` returned: a module with ``inputs`` and ``outputs``, the names
            of its arguments and of what it returns.
        path: The file.
        inputs: Its arguments, several times.

    Raises:
        RuntimeError: If they differ by more than rounding.
    """
    exported = OnnxModel(path)
    detects = 'boxes' in graph.outputs
    labels = [name for name in graph.outputs
              if name.startswith('label_scores') or (name == 'scores' and not detects)]
    slack = RESIZING if 'pixels' in graph.inputs else 1
    worst, lost, total, count = 0.0, 0, 0, 0
    for given in inputs:
        with torch.no_grad():
            expected = graph(*given)
        expected = (expected, ) if isinstance(expected, Tensor) else expected
        wanted = dict(zip(graph.outputs, expected, strict=True))
        found = exported.outputs_of(*given)
        count += len(given[0])
        for name in labels:
            worst = max(worst, float((wanted[name] - found[name]).abs().max()))
        if detects:
            lost += unmatched(wanted, found, slack) + unmatched(found, wanted, slack)
            total += len(wanted['boxes']) + len(found['boxes'])
    if worst > SCORE_TOLERANCE * slack:
        raise RuntimeError(f'{path} differs from the PyTorch model: scores by up to {worst:.2g}')
    if lost > UNMATCHED * total:
        raise RuntimeError(f'{path} differs from the PyTorch model: {lost} of {total} detections '
                           'have no counterpart')
    what = [f'{total - lost} of {total} detections match'] * detects
    what += [f'scores to {worst:.1g}'] * bool(labels)
    return f'agrees with PyTorch on {count} images: {", ".join(what)}'


def unmatched(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor], slack: float = 1) -> int:
    """How many of the wanted detections are not among the given ones.

    The order does not matter: scores that differ by rounding alone may come either way round.

    Args:
        wanted: ``boxes`` (M, 4), ``scores``, ``labels``, ``image_ids`` (M,) and, of a model of
            masks, ``masks`` (M, h, w).
        given: The same of others.
        slack: Factor on what they may differ by.
    """
    near = dict(boxes=BOX_TOLERANCE * slack, scores=SCORE_TOLERANCE * slack, labels=0, image_ids=0,
                masks=SCORE_TOLERANCE * slack)
    same = torch.ones(len(wanted['boxes']), len(given['boxes']), dtype=torch.bool)
    for name, limit in near.items():
        if name in wanted:
            apart = (wanted[name][:, None] - given[name][None]).abs()
            same &= apart.flatten(2).amax(2) <= limit if apart.ndim > 2 else apart <= limit
    return int((~same.any(1)).sum())


@command('export')
def main(argv: Sequence[str] | None = None) -> None:
    """Export and check."""
    args = parse_args(argv)
    path = args.out or f'{Path(args.config).stem}.onnx'
    if args.images is not None:
        image_files(args.images)  # before anything is written
    exported = load(args)
    try:
        preprocessing = describe_preprocessing(
            exported.transforms, exported.model.data_preprocessor)
    except ValueError as error:
        if args.with_preprocessing:
            raise
        preprocessing = None
        print(f'the file will not say how images are prepared for it: {error}')
    graph = export_onnx(
        exported.model, path, tuple(args.size), not args.no_fuse, exported.classes,
        exported.image_classes, preprocessing, args.with_preprocessing, __version__)
    print(f'written: {path} ({Path(path).stat().st_size / 2**20:.1f} MiB)')
    print(check(graph, path, examples(args, exported, graph.inputs)))
