"""Draw what the data loader gives the model: augmented, mixed and padded, with boxes or labels.

The images are those that the model's data preprocessor hands on, at their size there; only their
normalisation is undone. A seed gives the same pictures every time.

Examples:
    tresnet-mm browse fcos_tresnet_tiny_shapes
    tresnet-mm browse multilabel_tresnet_m_224 --number 24 --seed 1 --out sheet.png
    tresnet-mm browse my_config.py --split val --out-dir pictures
"""

from __future__ import annotations

import argparse
import os.path as osp
from collections.abc import Iterator, Sequence
from copy import deepcopy
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import mmcv
import numpy as np
import torch
from mmengine.config import Config, DictAction
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import Runner, set_random_seed
from mmengine.structures import BaseDataElement, InstanceData
from torch import Tensor, nn

from ..config_files import read_config
from ..config_tree import dataset_parts, type_name
from ..models import MultiTaskDetector
from ..models.image_labels import image_labels
from ..visualization import add_caption, contact_sheet, draw_truth
from . import launch
from .command_line import command, make_parser

_SHEET_WIDTH, _LEAST_WIDTH = 360, 360


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = make_parser('browse', __doc__)
    parser.add_argument('config', help=launch.CONFIG_HELP)
    parser.add_argument('--split', choices=['train', 'val', 'test'], default='train',
                        help='which data loader (default: %(default)s)')
    parser.add_argument('--number', type=int, default=12, help='images (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0,
                        help='of order and augmentation (default: %(default)s)')
    place = parser.add_mutually_exclusive_group()
    place.add_argument('--out', type=Path, default=Path('browse.png'), metavar='FILE',
                       help='one picture with all of them (default: %(default)s)')
    place.add_argument('--out-dir', type=Path, metavar='DIR',
                       help='a picture of its own for each image instead')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction,
                        help=launch.CFG_OPTIONS_HELP)
    return parser.parse_args(argv)


class Given:
    """What a config's model is given by one of its data loaders.

    Args:
        cfg: The config.
        split: 'train', 'val' or 'test'.
        seed: Of the order and of the augmentation.

    Attributes:
        dataset: What the loader reads.
        dataset_meta: Its ``metainfo``.

    Raises:
        FileNotFoundError: If an annotation file is missing.
        ValueError: If the config has no such loader, or it gives nothing.
    """

    def __init__(self, cfg: Config, split: str = 'train', seed: int = 0) -> None:
        name = f'{split}_dataloader'
        settings = deepcopy(cfg.get(name))
        if not settings:
            raise ValueError(f'{cfg.filename} has no {name}')
        launch.check_annotation_files(cfg, name)
        init_default_scope(cfg.get('default_scope') or 'mmdet')
        self._seed = seed
        settings.update(num_workers=0, persistent_workers=False)  # one process, one random state
        settings.pop('prefetch_factor', None)
        self.model = MODELS.build(cfg.model)
        self.loader = Runner.build_dataloader(settings, seed=seed)
        self.dataset = self.loader.dataset
        if not len(self.loader):
            raise ValueError(f'{name} gives no batch: {len(self.dataset)} images, batch_size '
                             f'{settings.get("batch_size")}, drop_last '
                             f'{settings.get("drop_last", False)}')
        self.dataset_meta = getattr(self.dataset, 'metainfo', None) or {}
        self._training = split == 'train'
        self._unscaled = boxes_are_unscaled(settings.dataset)

    def __iter__(self) -> Iterator[tuple[np.ndarray, BaseDataElement]]:
        """Give image after image, uint8 (H, W, 3) in RGB, with its sample, boxes in its pixels."""
        preprocessor = self.model.data_preprocessor
        set_random_seed(self._seed)
        for batch in self.loader:
            data = preprocessor(batch, training=self._training)
            if not isinstance(data, dict) or not isinstance(data.get('inputs'), Tensor):
                raise ValueError(f'{type(preprocessor).__name__} gives no batch of images that '
                                 'could be drawn')
            images = undo_normalisation(data['inputs'], preprocessor)
            for image, sample in zip(images, data['data_samples'], strict=True):
                yield image, self._as_given(sample)

    def _as_given(self, sample: BaseDataElement) -> BaseDataElement:
        sample = sample.clone()
        if isinstance(self.model, MultiTaskDetector) and self.model.image_head is not None:
            labels = image_labels(sample, self.model.image_head.num_classes)
            if labels is not None:
                sample.gt_labels = labels
        if self._unscaled and 'gt_instances' in sample:
            boxes = sample.gt_instances.bboxes
            boxes = boxes if isinstance(boxes, Tensor) else boxes.tensor
            factor = boxes.new_tensor(sample.scale_factor).repeat(2)
            sample.gt_instances = InstanceData(bboxes=boxes * factor,
                                               labels=sample.gt_instances.labels)
        return sample


def boxes_are_unscaled(dataset: Any) -> bool:
    """Whether a dataset's boxes are those of the original image, loaded after it was resized.

    So mmdet's pipelines for testing have it, whose results are measured on the original.
    """
    (_, innermost), *_ = dataset_parts(dataset, 'dataset')
    steps = [type_name(step.get('type')) for step in innermost.get('pipeline') or ()]
    loaded = [place for place, step in enumerate(steps) if step.startswith('LoadAnnotations')]
    return any('Resize' in step for step in steps[:loaded[0]]) if loaded else False


@torch.no_grad()
def undo_normalisation(inputs: Tensor, preprocessor: nn.Module) -> list[np.ndarray]:
    """Turn a batch back into pictures.

    Args:
        inputs: (N, 3, H, W) as mmengine's ``ImgDataPreprocessor``, or mmdet's, gives it.
        preprocessor: It.

    Returns:
        N images, uint8 (H, W, 3) in RGB.
    """
    inputs = _unnormalised(inputs, preprocessor)
    # A blue image, as OpenCV reads it, tells which order of the channels comes out.
    blue = torch.zeros(3, 64, 64, dtype=torch.uint8, device=inputs.device)
    blue[0] = 255
    out = _unnormalised(preprocessor(dict(inputs=[blue]))['inputs'], preprocessor)[0]
    if out[0, 0, 0] > out[2, 0, 0]:
        inputs = inputs.flip(1)
    pixels = inputs.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
    return list(pixels.cpu().numpy())


def _unnormalised(inputs: Tensor, preprocessor: Any) -> Tensor:
    if not getattr(preprocessor, '_enable_normalize', False):
        return inputs.float()
    return inputs.float() * preprocessor.std + preprocessor.mean


def picture_name(sample: BaseDataElement, number: int) -> str:
    """Name of the file of an image's picture."""
    stem = Path(sample.get('img_path') or '').stem
    return f'{number:04d}_{stem}.jpg' if stem else f'{number:04d}.jpg'


@command('browse')
def main(argv: Sequence[str] | None = None) -> None:
    """Load, draw and write."""
    args = parse_args(argv)
    if args.number < 1:
        raise ValueError(f'--number must be at least 1, got {args.number}')
    if not cv2.haveImageWriter(args.out.name):
        raise ValueError(f'--out {args.out} has the suffix of no picture that can be written')
    given = Given(launch.merge(read_config(args.config), args), args.split, args.seed)
    pictures, sizes, count = [], set(), 0
    for number, (image, sample) in enumerate(islice(given, args.number)):
        count += 1
        sizes.add(f'{image.shape[1]} x {image.shape[0]}')
        width = max(image.shape[1], _LEAST_WIDTH) if args.out_dir else _SHEET_WIDTH
        picture = draw_truth(image, sample, given.dataset_meta, width)
        if args.out_dir:
            mmcv.imwrite(picture[..., ::-1], str(args.out_dir / picture_name(sample, number)))
            continue
        name = osp.basename(sample.get('img_path') or '')
        pictures.append(add_caption(picture, [name]) if name else picture)
    if not args.out_dir:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        mmcv.imwrite(contact_sheet(pictures)[..., ::-1], str(args.out))
    print(f'{count} of {len(given.dataset)} images of {args.split}_dataloader, '
          f'{", ".join(sorted(sizes))} pixels as the model gets them: {args.out_dir or args.out}')
