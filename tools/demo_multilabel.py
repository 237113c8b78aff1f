#!/usr/bin/env python
"""Train a multi-label classifier on synthetic shapes, evaluate it, and draw its scores.

Examples:
    python tools/demo_multilabel.py             # a small backbone: minutes on two cores
    python tools/demo_multilabel.py --arch m    # the full-size TResNet-M
"""
from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import mmcv
import numpy as np
from mmengine.config import Config
from mmengine.registry import MODELS
from mmengine.runner import save_checkpoint, set_random_seed

from tresnet_mm.archs import ARCHS
from tresnet_mm.commands import runs
from tresnet_mm.datasets.shapes import make_shapes
from tresnet_mm.visualization import (
    contact_sheet,
    draw_label_scores,
    draw_training_curve,
    read_scalars,
)

CONFIG = Path(__file__).resolve().parent.parent / 'configs/multilabel_tresnet_tiny_shapes.py'
METRIC = 'multi-label/mAP'


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--arch', choices=ARCHS, help='a full-size backbone (default: a small one)')
    parser.add_argument('--work-dir', type=Path,
                        help='where everything goes (default: work_dirs/demo_multilabel[_ARCH])')
    parser.add_argument('--cfg-options', nargs='+', default=[], metavar='KEY=VALUE',
                        help='changes to the config')
    return parser.parse_args(argv)


def save_untrained(cfg: Config, arch: str | None, file: Path) -> None:
    """Write a checkpoint of the model as it is before training."""
    if arch is not None:
        cfg.model.backbone.arch = arch
    set_random_seed(cfg.randomness.seed)
    model = MODELS.build(cfg.model)
    model.init_weights()
    save_checkpoint(dict(state_dict=model.state_dict()), str(file))


def draw_sheet(scores_file: Path, out_file: Path, count: int = 15) -> None:
    """Draw the first images of a scores file (``tools/test.py --out``) with their scores."""
    with np.load(scores_file) as saved:
        names, paths = saved['classes'].tolist(), saved['images'].tolist()[:count]
        scores, targets = saved['scores'], saved['targets']
    pictures = [
        draw_label_scores(mmcv.imread(path, channel_order='rgb'), scores[i], names, targets[i])
        for i, path in enumerate(paths)]
    title = 'validation images: ✓ hit, ✗ false alarm, ○ missed'
    sheet = contact_sheet(pictures, columns=5, title=title)
    mmcv.imwrite(sheet[..., ::-1], str(out_file))


def run(args: argparse.Namespace) -> float:
    """Everything from the data set to the pictures; returns the mAP.

    Raises:
        RunError: Training or testing failed or gave no mAP.
    """
    name = f'demo_multilabel_{args.arch}' if args.arch else 'demo_multilabel'
    work_dir = args.work_dir or Path('work_dirs') / name
    options = [*([f'model.backbone.arch={args.arch}'] if args.arch else []), *args.cfg_options]
    config, cfg = str(CONFIG), Config.fromfile(CONFIG)
    print(f'data set: {cfg.data_root}', flush=True)
    make_shapes(cfg.data_root)

    work_dir.mkdir(parents=True, exist_ok=True)
    untrained = work_dir / 'untrained.pth'
    save_untrained(cfg, args.arch, untrained)
    before = runs.test(config, untrained, work_dir / 'test_untrained', options)
    start = time.perf_counter()
    checkpoint = runs.train(config, work_dir, options)
    minutes = (time.perf_counter() - start) / 60
    scores_file = work_dir / 'scores.npz'
    after = runs.test(config, checkpoint, work_dir / 'test', options, out=scores_file)
    before_ap, after_ap = (runs.metric(metrics, METRIC) for metrics in (before, after))

    curve, sheet = work_dir / 'curve.png', work_dir / 'labels.png'
    draw_training_curve(read_scalars(runs.scalars_file(work_dir)), [METRIC], curve)
    draw_sheet(scores_file, sheet)
    print(f'\ntrained and validated in {minutes:.1f} minutes: {checkpoint}\n'
          f'loss and mAP:      {curve}\n'
          f'labels:            {sheet}\n'
          f'{METRIC} in percent: untrained {before_ap:.2f}, trained {after_ap:.2f}')
    return after_ap


def main() -> None:
    """Run the demo; a failure is one message."""
    try:
        run(parse_args())
    except (runs.RunError, FileExistsError) as error:
        sys.exit(f'demo_multilabel: {error}')


if __name__ == '__main__':
    main()
