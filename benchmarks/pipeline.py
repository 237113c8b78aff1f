"""Whether data loading keeps up: decoding, the configs' pipelines, and the loop's own cost."""
from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import mmcv
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.model import BaseModel
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch import nn

import tresnet_mm  # noqa: F401  registers the transforms
from tresnet_mm.datasets.image_file import read_image_size

from . import timing

COCO_SIZE = (480, 640)  # height, width of a typical COCO image


def image_files(folder: Path, count: int) -> list[str]:
    """Paths of real COCO images below ``COCO_ROOT``, or of noise written to ``folder``."""
    real = sorted(Path(os.environ.get('COCO_ROOT', 'data/coco')).glob('val2017/*.jpg'))[:count]
    if real:
        return [str(path) for path in real]
    rng = np.random.default_rng(0)
    paths = []
    for i in range(count):
        coarse = rng.integers(0, 255, (COCO_SIZE[0] // 16, COCO_SIZE[1] // 16, 3), dtype=np.uint8)
        paths.append(str(folder / f'{i}.jpg'))
        mmcv.imwrite(mmcv.imresize(coarse, COCO_SIZE[::-1]), paths[-1])
    return paths


def decode(path: str, backend: str) -> None:
    """Decode one JPEG to a BGR array."""
    mmcv.imread(path, backend=backend)


def pipelines() -> dict[str, tuple[Compose, dict[str, Any]]]:
    """The training pipelines: name -> (transforms, fields that the dataset would give)."""
    init_default_scope('mmdet')
    boxes = [dict(bbox=[10., 10., 200., 200.], bbox_label=1, ignore_flag=0)] * 7
    configs = Path(__file__).resolve().parents[1] / 'configs'
    found = {}
    for size, name in ((224, 'multilabel_tresnet_m_224'), (448, 'multilabel_tresnet_l_448'),
                       (800, 'fcos_tresnet_m')):
        cfg = Config.fromfile(configs / f'{name}.py')
        fields = dict(instances=boxes) if size == 800 else dict(
            gt_labels=[1, 2], num_classes=80)
        found[f'{size} px, {name}'] = (Compose(cfg.train_dataloader.dataset.pipeline), fields)
    return found


@cache
def size_of(path: str) -> tuple[int, int]:
    """(width, height) of an image, which a dataset has from its annotation file."""
    return read_image_size(path)


def process(pipeline: Compose, fields: dict[str, Any], path: str) -> None:
    """One image through a pipeline."""
    width, height = size_of(path)
    pipeline(dict(fields, img_path=path, img_id=0, height=height, width=width))


def over(paths: list[str], fn: Callable[[str], None]) -> None:
    """Call ``fn`` for every path."""
    for path in paths:
        fn(path)


class OneWeight(BaseModel):
    """The smallest model there is: what a step of it costs is the loop's own cost."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, inputs: Any = None, data_samples: Any = None, mode: str = 'loss') -> Any:
        return dict(loss=self.weight.sum())


def loop_overhead(iterations: int, work_dir: str) -> float:
    """Seconds that mmengine's training loop and default hooks take an iteration."""
    runner = Runner(
        OneWeight(), work_dir,
        train_dataloader=dict(
            batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=[dict(inputs=torch.zeros(1))] * iterations),
        train_cfg=dict(by_epoch=True, max_epochs=1),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        default_hooks=dict(checkpoint=None), default_scope='mmengine', log_level='ERROR',
        experiment_name=f'overhead_{Path(work_dir).name}')
    times = timing.alternate({'loop': runner.train}, rounds=1, warmup=0)
    return times['median']['loop'] / iterations


def run(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Images/s on one core of decoders and pipelines, and the loop's milliseconds."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        paths = image_files(Path(folder), 4 if args.quick else 32)
        contenders = {f'decode, {backend}': partial(over, paths, partial(decode, backend=backend))
                      for backend in ('cv2', 'pillow')}
        for name, (pipeline, fields) in pipelines().items():
            contenders[f'pipeline, {name}'] = partial(
                over, paths, partial(process, pipeline, fields))
        times = timing.alternate(contenders, args.rounds, warmup=1)
        for name in contenders:
            seconds = times['median'][name] / len(paths)
            rows.append(dict(what=name, images_per_s_per_core=1 / seconds, ms=seconds * 1e3,
                             spread=times['spread'][name]))
        seconds = loop_overhead(100 if args.quick else 500, folder)
        rows.append(dict(what="mmengine's loop, one iteration", ms=seconds * 1e3))
    return rows
