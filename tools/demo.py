#!/usr/bin/env python
"""Train a detector on synthetic shapes, evaluate it, and draw what it learnt.

Examples:
    python tools/demo.py                # a small backbone: minutes on two cores
    python tools/demo.py --arch m       # the full-size TResNet-M
"""
from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import mmcv
import torch
from mmengine.config import Config
from mmengine.structures import InstanceData

from tresnet_mm.archs import ARCHS
from tresnet_mm.commands import runs
from tresnet_mm.datasets.shapes import make_shapes
from tresnet_mm.models import TResNet
from tresnet_mm.visualization import (
    contact_sheet,
    draw_detections,
    draw_training_curve,
    read_scalars,
)

CONFIG = Path(__file__).resolve().parent.parent / 'configs/fcos_tresnet_tiny_shapes.py'
METRICS = ('coco/bbox_mAP', 'coco/bbox_mAP_50')


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--arch', choices=ARCHS, help='a full-size backbone (default: a small one)')
    parser.add_argument('--config', default=str(CONFIG), help='default: %(default)s')
    parser.add_argument('--work-dir', type=Path,
                        help='where everything goes (default: work_dirs/demo[_ARCH])')
    parser.add_argument('--cfg-options', nargs='+', default=[], metavar='KEY=VALUE',
                        help='changes to the config')
    return parser.parse_args(argv)


def arch_options(arch: str | None) -> list[str]:
    """The changes to the demo's config that give it a full-size backbone."""
    if arch is None:
        return []
    channels = ','.join(map(str, TResNet(arch).out_channels))
    return [f'model.backbone.arch={arch}', f'model.neck.in_channels=[{channels}]']


def draw_sheet(cfg: Config, results_file: Path, out_file: Path, count: int = 12) -> None:
    """Draw the first validation images, each with its true and its predicted boxes.

    Args:
        cfg: The config; its test dataset tells the images and the truth.
        results_file: Predictions in COCO's result format.
        out_file: The picture.
        count: How many images.
    """
    dataset = cfg.test_dataloader.dataset
    root = Path(dataset.data_root)
    coco = json.loads((root / dataset.ann_file).read_text())
    label_of = {category['id']: label for label, category in enumerate(coco['categories'])}
    truths, predictions = defaultdict(list), defaultdict(list)
    for annotation in coco['annotations']:
        truths[annotation['image_id']].append(annotation)
    for result in json.loads(results_file.read_text()):
        predictions[result['image_id']].append(result)
    pictures = [
        draw_detections(
            mmcv.imread(root / dataset.data_prefix.img / image['file_name'], channel_order='rgb'),
            to_instances(truths[image['id']], label_of),
            to_instances(predictions[image['id']], label_of),
            dataset.metainfo, scale=2.5)
        for image in coco['images'][:count]]
    sheet = contact_sheet(pictures, columns=3, title='validation images: true | predicted')
    mmcv.imwrite(sheet[..., ::-1], str(out_file))


def to_instances(annotations: Sequence[dict], label_of: dict[int, int]) -> InstanceData:
    """COCO annotations or results as instances with boxes x1, y1, x2, y2; results have scores."""
    boxes = torch.tensor([a['bbox'] for a in annotations], dtype=torch.float32).reshape(-1, 4)
    instances = InstanceData(
        bboxes=torch.cat([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], dim=1),
        labels=torch.tensor([label_of[a['category_id']] for a in annotations], dtype=torch.long))
    if all('score' in a for a in annotations):
        instances.scores = torch.tensor([a['score'] for a in annotations])
    return instances


def run(args: argparse.Namespace) -> float:
    """Everything from the data set to the pictures; returns the mAP.

    Raises:
        RunError: Training or testing failed or gave no mAP.
    """
    name = f'demo_{args.arch}' if args.arch else 'demo'
    work_dir = args.work_dir or Path('work_dirs') / name
    options = [*arch_options(args.arch), *args.cfg_options]
    cfg = Config.fromfile(args.config)
    print(f'data set: {cfg.data_root}', flush=True)
    make_shapes(cfg.data_root)

    start = time.perf_counter()
    checkpoint = runs.train(args.config, work_dir, options)
    minutes = (time.perf_counter() - start) / 60
    results = work_dir / 'results.json'
    metrics = runs.test(args.config, checkpoint, work_dir / 'test', options, out=results)
    mean_ap, ap50 = (runs.metric(metrics, key) for key in METRICS)

    curve, sheet = work_dir / 'curve.png', work_dir / 'detections.png'
    draw_training_curve(read_scalars(runs.scalars_file(work_dir)), METRICS, curve)
    draw_sheet(cfg, results.with_suffix('.bbox.json'), sheet)
    print(f'\ntrained and validated in {minutes:.1f} minutes: {checkpoint}\n'
          f'loss and mAP:    {curve}\n'
          f'boxes:           {sheet}\n'
          f'coco/bbox_mAP:   {mean_ap:.3f}   (at IoU 0.5: {ap50:.3f})')
    return mean_ap


def main() -> None:
    """Run the demo; a failure is one message."""
    try:
        run(parse_args())
    except (runs.RunError, FileExistsError) as error:
        sys.exit(f'demo: {error}')


if __name__ == '__main__':
    main()
