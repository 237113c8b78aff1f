"""Overfit a handful of real images with FCOS and the full TResNet-M, and measure mAP on them.

A check of the whole chain (loading, targets, losses, gradients, decoding, COCO's evaluation), not
of generalisation: the images that are measured are those that were trained on.

Examples:
    COCO_ROOT=data/coco python -m benchmarks.experiments.overfit_real_images --images 8 --epochs 60
"""
from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config
from mmengine.fileio import dump, load
from mmengine.runner import Runner

ROOT = Path(__file__).resolve().parents[2]


def write_subset(source: Path, target: Path, images: int) -> None:
    """Write the first images that have boxes, with their annotations, as a COCO file of its own."""
    data = load(str(source))
    with_boxes = {ann['image_id'] for ann in data['annotations'] if not ann['iscrowd']}
    data['images'] = [image for image in data['images'] if image['id'] in with_boxes][:images]
    ids = {image['id'] for image in data['images']}
    data['annotations'] = [ann for ann in data['annotations'] if ann['image_id'] in ids]
    target.parent.mkdir(parents=True, exist_ok=True)
    dump(data, str(target))


def overfit_config(work_dir: Path, images: int, epochs: int, size: int, batch_size: int) -> Config:
    """The shipped FCOS config, changed to overfit a few small images from scratch.

    Args:
        work_dir: Folder to write, the subset's annotations included.
        images: Number of training images.
        epochs: Number of epochs; mAP is measured after the last.
        size: Side of the square that images are resized into, in pixels.
        batch_size: Images a step.
    """
    cfg = Config.fromfile(ROOT / 'configs' / 'fcos_tresnet_m.py')
    subset = (work_dir / 'subset.json').resolve()
    write_subset(Path(cfg.data_root, 'annotations/instances_train2017.json'), subset, images)
    cfg.work_dir = str(work_dir)
    cfg.randomness = dict(seed=0)
    cfg.model.backbone.update(init_cfg=None, frozen_stages=-1, norm_eval=False)
    # Small images have small objects: all levels one octave finer. Narrow, for the CPU's sake.
    cfg.model.neck.update(start_level=0, out_channels=64)
    cfg.model.bbox_head.update(
        in_channels=64, feat_channels=64, stacked_convs=2, strides=[4, 8, 16, 32, 64],
        regress_ranges=((-1, 32), (32, 64), (64, 128), (128, 256), (256, 1e8)))
    data = dict(ann_file=str(subset), data_prefix=dict(img='train2017/'))
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.update(batch_size=batch_size, num_workers=0, persistent_workers=False)
        loader.dataset.update(data)
        pipeline = [step for step in loader.dataset.pipeline if step['type'] != 'RandomFlip']
        for step in pipeline:
            if step['type'] == 'Resize':
                step['scale'] = (size, size)
        loader.dataset.pipeline = pipeline
    cfg.val_evaluator.ann_file = str(subset)
    steps = epochs * -(-images // batch_size)
    cfg.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=epochs, val_interval=epochs)
    cfg.optim_wrapper = dict(
        type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05),
        paramwise_cfg=dict(norm_decay_mult=0, bias_decay_mult=0), clip_grad=dict(max_norm=10))
    cfg.param_scheduler = [dict(type='OneCycleLR', eta_max=1e-3, total_steps=steps, by_epoch=False)]
    cfg.default_hooks.checkpoint.update(interval=epochs, save_optimizer=False)
    cfg.default_hooks.logger.interval = 4
    return cfg


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--images', type=int, default=8, help='(default: %(default)s)')
    parser.add_argument('--epochs', type=int, default=60, help='(default: %(default)s)')
    parser.add_argument('--size', type=int, default=192, help='side in px (default: %(default)s)')
    parser.add_argument('--batch-size', type=int, default=4, help='(default: %(default)s)')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/overfit_real_images'))
    return parser.parse_args(argv)


def main() -> None:
    """Train, evaluate, and say the result in one line."""
    args = parse_args()
    cfg = overfit_config(args.work_dir, args.images, args.epochs, args.size, args.batch_size)
    runner = Runner.from_cfg(cfg)
    runner.train()
    scores = {key: runner.message_hub.get_scalar(f'val/coco/bbox_{key}').current()
              for key in ('mAP', 'mAP_50')}
    print(f'FCOS TResNet-M on its own {args.images} training images, {args.size} px, {args.epochs} '
          f'epochs: mAP {scores["mAP"]:.3f}, mAP50 {scores["mAP_50"]:.3f} '
          f'({time.process_time():.0f} core-seconds)')


if __name__ == '__main__':
    main()
