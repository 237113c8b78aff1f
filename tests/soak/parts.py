"""What runs for long; `python -m tests.soak.parts NAME SCALE FOLDER OUT` runs one part."""
from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from mmengine.hooks import Hook
from mmengine.registry import MODELS
from mmengine.runner import Runner, save_checkpoint

from tests.soak.growth import Sampler
from tresnet_mm import Inferencer
from tresnet_mm.commands.train import build_config, parse_args
from tresnet_mm.config_files import read_config
from tresnet_mm.datasets.shapes import ShapesSpec, make_shapes

CONFIG = 'multilabel_tresnet_tiny_shapes'
SIZE = 64  # pixels


class Part(NamedTuple):
    """A long run.

    Attributes:
        run: Called with the number of steps and a folder, returns the samples.
        steps: How many, at scale 1.
        unit: What a step is.
        limits: Most bytes by which memory may grow a step.
    """

    run: Callable[[int, Path], list[dict]]
    steps: int
    unit: str
    limits: dict[str, int]


class SampleHook(Hook):
    """Take samples after iterations, behind all other hooks."""

    priority = 'LOWEST'

    def __init__(self, sampler: Sampler) -> None:
        self.sampler = sampler

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: object = None,
                         outputs: dict | None = None) -> None:
        self.sampler(runner.iter + 1)


def train(folder: Path, images: int, epochs: int, every: int, **options: object) -> list[dict]:
    """Train as the command does, with everything that it adds to a config; returns the samples."""
    data = folder / 'shapes'
    make_shapes(data, ShapesSpec(num_train=images, num_val=8, size=SIZE))
    sets = {f'{split}_dataloader.dataset.data_root': f'{data}/' for split in
            ('train', 'val', 'test')}
    options = {'max_epochs': epochs, 'train_cfg.max_epochs': epochs, 'data_root': f'{data}/',
               'param_scheduler.0.total_steps': epochs, 'train_dataloader.batch_size': 2,
               **sets, **options}
    cfg = build_config(parse_args([
        CONFIG, '--work-dir', str(folder / 'run'), '--cfg-options',
        *(f'{key}={value}' for key, value in options.items())]))
    sampler = Sampler(every)
    runner = Runner.from_cfg(cfg)
    runner.register_hook(SampleHook(sampler))
    runner.train()
    return sampler.samples


def iterations(steps: int, folder: Path) -> list[dict]:
    """Long epochs of batches of two, four workers that stay."""
    per_epoch = max(1, min(200, steps // 3))
    return train(folder, 2 * per_epoch, steps // per_epoch, _every(steps),
                 **{'train_dataloader.num_workers': 4})


def epochs(steps: int, folder: Path) -> list[dict]:
    """Epochs of one batch, whose workers are started and ended every time."""
    return train(folder, 2, steps, _every(steps), **{
        f'{split}_dataloader.{key}': value for split in ('train', 'val')
        for key, value in (('num_workers', 2), ('persistent_workers', False))})


def untrained(folder: Path) -> Path:
    """A checkpoint of the model as it starts."""
    file = folder / 'untrained.pth'
    model = MODELS.build(read_config(CONFIG).model)
    save_checkpoint(dict(state_dict=model.state_dict()), str(file))
    return file


def calls(steps: int, folder: Path) -> list[dict]:
    """Calls of one inferencer on one image."""
    inferencer = Inferencer(CONFIG, untrained(folder))
    image = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    sampler = Sampler(_every(steps))
    for step in range(1, steps + 1):
        inferencer(image)
        sampler(step)
    return sampler.samples


def _every(steps: int) -> int:
    """Steps between two of about a hundred samples."""
    return max(1, steps // 100)


PARTS = {
    'iterations': Part(iterations, 3000, 'iteration', dict(main_bytes=2000, workers_bytes=2000)),
    # a step has a validation and a checkpoint, too; the workers are new ones in every epoch
    'epochs': Part(epochs, 200, 'epoch', dict(main_bytes=8000)),
    'calls': Part(calls, 10_000, 'call', dict(main_bytes=100)),
}


def main() -> None:
    """Run one part and write its samples."""
    name, scale, folder, out = sys.argv[1:]
    part = PARTS[name]
    samples = part.run(max(9, round(part.steps * float(scale))), Path(folder))
    Path(out).write_text(json.dumps(dict(samples=samples)))


if __name__ == '__main__':
    main()
