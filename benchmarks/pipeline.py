"""Whether data loading keeps up: decoding, the configs' pipelines, and the loop's own cost."""
from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import mmcv
import numpy as np
import torch
from mmcv.transforms import LoadImageFromFile, Resize
from mmdet.datasets.transforms import PackDetInputs
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.model import BaseModel
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from PIL import Image
from torch import nn

import tresnet_mm  # noqa: F401  registers the transforms
from tresnet_mm.datasets.image_file import read_image_size
from tresnet_mm.datasets.worker_memory import keep_freed_memory

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


def decode(path: str, backend: str) -> np.ndarray:
    """Decode one JPEG to a BGR array."""
    return mmcv.imread(path, backend=backend)


def decode_and_resize(path: str, side: int) -> None:
    """What Pillow alone takes to make the pixels of a square: the least that others did."""
    with Image.open(path) as image:
        image.convert('RGB').resize((side, side), Image.Resampling.BILINEAR)


def plain(pipeline: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The same pipeline of mmcv's and mmdet's transforms alone, unchecked: how it began.

    (Cutout and the packing of labels, of which they have none, are this package's.)
    """
    steps = []
    for step in pipeline:
        kind = step['type']
        step = dict(step)
        if kind == 'LoadImageChecked':
            step.update(type=LoadImageFromFile, imdecode_backend='pillow')
        elif kind == 'AntialiasResize':
            step.update(type=Resize, keep_ratio=False, backend='pillow')
        elif kind == 'mmdet.RandAugment':
            step['aug_space'] = [
                [dict(operation, type=operation['type'].replace('Fast', 'mmdet.'))]
                for (operation,) in step['aug_space']]
        elif kind in ('LoadImageFromFile', 'PackDetInputs'):  # names that mean ours by now
            step['type'] = {'LoadImageFromFile': LoadImageFromFile,
                            'PackDetInputs': PackDetInputs}[kind]
        steps.append(step)
    return steps


class Task(NamedTuple):
    """One pipeline of a config: its transforms, and the fields that the dataset would give."""

    config: str
    split: str
    side: int
    steps: list[dict[str, Any]]
    fields: dict[str, Any]


def tasks() -> list[Task]:
    """The pipelines that are measured: 224 and 448 px, and detection's; training and testing."""
    init_default_scope('mmdet')
    labels = dict(gt_labels=[1, 2], num_classes=80)
    boxes = dict(instances=[dict(bbox=[10., 10., 200., 200.], bbox_label=1, ignore_flag=0)] * 7)
    configs = Path(__file__).resolve().parents[1] / 'configs'
    found = []
    for side, name, fields in ((224, 'multilabel_tresnet_m_224', labels),
                               (448, 'multilabel_tresnet_l_448', labels),
                               (800, 'fcos_tresnet_m', boxes)):
        cfg = Config.fromfile(configs / f'{name}.py')
        for split in ('train', 'test'):
            steps = cfg[f'{split}_dataloader'].dataset.pipeline
            found.append(Task(name, split, side, [step.to_dict() for step in steps], fields))
    return found


@cache
def size_of(path: str) -> tuple[int, int]:
    """(width, height) of an image, which a dataset has from its annotation file."""
    return read_image_size(path)


def process(pipeline: Compose, fields: dict[str, Any], path: str) -> dict[str, Any]:
    """One image through a pipeline."""
    width, height = size_of(path)
    return pipeline(dict(fields, img_path=path, img_id=0, height=height, width=width))


def over(paths: list[str], fn: Callable[[str], Any]) -> None:
    """Call ``fn`` for every path, with the same chances each time."""
    np.random.seed(0)
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


def contenders(task: Task, paths: list[str]) -> dict[str, Callable[[], None]]:
    """The plain pipeline first, the config's, and for labels Pillow's decoding and resizing."""
    fns: dict[str, Callable[[str], Any]] = {
        name: partial(process, Compose(steps), task.fields)
        for name, steps in (('plain', plain(task.steps)), ('pipeline', task.steps))}
    if 'gt_labels' in task.fields:
        fns['decode and resize, pillow'] = partial(decode_and_resize, side=task.side)
    return {name: partial(over, paths, fn) for name, fn in fns.items()}


class LoaderProcess:
    """A process that runs one contender when asked, as a worker of a data loader would.

    Each has its own, since the memory of a worker is kept (`keep_freed_memory`) by this package's
    pipelines; Pillow's decoding and resizing has this advantage, too.
    """

    def __init__(self, fn: Callable[[], None], keeps_memory: bool) -> None:
        self.seconds = 0.  # of the processor; those in which others had it do not count
        self.pipe, other = multiprocessing.Pipe()
        self.process = multiprocessing.get_context('fork').Process(
            target=self._serve, args=(other, fn, keeps_memory), daemon=True)
        self.process.start()

    @staticmethod
    def _serve(pipe: Connection, fn: Callable[[], None], keeps_memory: bool) -> None:
        torch.set_num_threads(1)
        cv2.setNumThreads(1)
        if keeps_memory:
            keep_freed_memory()
        while pipe.recv():
            start = time.process_time()
            fn()
            pipe.send(time.process_time() - start)

    def __call__(self) -> None:
        """Run the contender once."""
        self.pipe.send(True)
        self.seconds += self.pipe.recv()

    def end(self) -> None:
        """End the process."""
        self.pipe.send(False)
        self.process.join()


def measure(name: str, fns: dict[str, Callable[[], None]], rounds: int, images: int
            ) -> list[dict[str, Any]]:
    """A row for each contender."""
    workers = {fn: LoaderProcess(call, fn != 'plain') for fn, call in fns.items()}
    times = timing.alternate(workers, rounds, warmup=1,
                             clock=lambda: sum(worker.seconds for worker in workers.values()))
    for worker in workers.values():
        worker.end()
    rows = []
    for fn in fns:
        seconds = times['median'][fn] / images
        rows.append(dict(
            what=f'{name}{fn}', images_per_s_per_core=1 / seconds, ms=seconds * 1e3,
            times_as_fast=times['ratio'][fn], spread=times['spread'][fn]))
    return rows


def run(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Images/s on one core of decoders and pipelines, and the loop's milliseconds.

    ``times_as_fast`` is against the first of a group: decoding by OpenCV, or the plain pipeline.
    """
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        paths = image_files(Path(folder), 4 if args.quick else 80)
        rows += measure('decode, ', {
            backend: partial(over, paths, partial(decode, backend=backend))
            for backend in ('cv2', 'pillow')}, args.rounds, len(paths))
        for task in tasks():
            rows += measure(f'{task.side} px, {task.config}, {task.split}: ',
                            contenders(task, paths), args.rounds, len(paths))
        seconds = loop_overhead(100 if args.quick else 500, folder)
        rows.append(dict(what="mmengine's loop, one iteration", ms=seconds * 1e3))
    return rows
