#!/usr/bin/env python
"""Draw a detector's boxes on images.

Examples:
    python tools/image_demo.py IMAGE_OR_FOLDER CONFIG CHECKPOINT --out-dir demo_out
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mmdet.apis import DetInferencer

from tresnet_mm.engine.launch import check_checkpoint


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('inputs', help='image file or folder of images')
    parser.add_argument('config', help='config file of a detector')
    parser.add_argument('checkpoint', help='checkpoint file or URL')
    parser.add_argument('--out-dir', default='demo_out',
                        help='pictures go to its vis/, boxes to its preds/ (default: demo_out)')
    parser.add_argument('--score-thr', type=float, default=0.3,
                        help='draw boxes of at least this score (default: %(default)s)')
    parser.add_argument('--batch-size', type=int, default=1, help='images at once')
    parser.add_argument('--device', default=None, help='e.g. cpu, cuda:0 (default: what there is)')
    return parser.parse_args(argv)


def main() -> None:
    """Predict and draw."""
    args = parse_args()
    try:
        for path in (args.inputs, args.config):
            if not Path(path).exists():
                raise FileNotFoundError(f'{path} does not exist')
        check_checkpoint(args.checkpoint)
    except FileNotFoundError as error:
        sys.exit(f'image_demo.py: error: {error}')
    inferencer = DetInferencer(args.config, args.checkpoint, args.device)
    inferencer(args.inputs, batch_size=args.batch_size, pred_score_thr=args.score_thr,
               out_dir=args.out_dir, no_save_pred=False)


if __name__ == '__main__':
    main()
