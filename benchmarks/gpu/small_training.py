"""The multi-label demo in mixed precision: trained by the command, it has to reach its mAP."""
from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from unittest import mock

from tresnet_mm.commands import runs
from tresnet_mm.datasets.shapes import ShapesSpec, make_shapes

from .parts import Row
from .settings import Settings

CONFIG = Path(__file__).resolve().parents[2] / 'configs/multilabel_tresnet_tiny_shapes.py'
METRIC = 'multi-label/mAP'


def small_training(settings: Settings) -> list[Row]:
    """Draw the data, train in a process of its own, and read the last validation."""
    amp = dict(type='AmpOptimWrapper', dtype='float16', loss_scale='dynamic') if settings.on_gpu \
        else dict(type='AutocastOptimWrapper')  # bfloat16
    options = [f'optim_wrapper.{key}={value}' for key, value in amp.items()]
    options += [f'train_cfg.max_epochs={settings.epochs}', f'max_epochs={settings.epochs}',
                f'param_scheduler.0.total_steps={settings.epochs}',
                'train_dataloader.persistent_workers=True']
    with tempfile.TemporaryDirectory() as folder:
        data, work_dir = Path(folder) / 'shapes', Path(folder) / 'work_dir'
        make_shapes(data, ShapesSpec(**settings.shapes))
        with mock.patch.dict(os.environ, SHAPES_ROOT=str(data)):
            runs.train(str(CONFIG), work_dir, options, quiet=True)
        lines = runs.scalars_file(work_dir).read_text().splitlines()
    found = [entry[METRIC] for entry in map(json.loads, lines) if METRIC in entry]
    least = settings.least_map
    precision = 'float16' if settings.on_gpu else 'bfloat16'
    return [dict(what=f'{METRIC} in percent after {settings.epochs} epochs, {precision}',
                 found=found[-1], least=least, right=bool(found[-1] >= least))]
