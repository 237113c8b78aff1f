"""Draw a detector's boxes on images.

Examples:
    tresnet-mm image-demo IMAGE_OR_FOLDER CONFIG CHECKPOINT --out-dir demo_out
"""
from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmdet.apis import DetInferencer

from .command_line import command, make_parser
from .config_files import read_config
from .launch import CONFIG_HELP, check_checkpoint


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = make_parser('image-demo', __doc__)
    parser.add_argument('inputs', help='image file or folder of images')
    parser.add_argument('config', help=f'{CONFIG_HELP}; of a detector')
    parser.add_argument('checkpoint', help='checkpoint file or URL')
    parser.add_argument('--out-dir', default='demo_out',
                        help='pictures go to its vis/, boxes to its preds/ (default: demo_out)')
    parser.add_argument('--score-thr', type=float, default=0.3,
                        help='draw boxes of at least this score (default: %(default)s)')
    parser.add_argument('--batch-size', type=int, default=1, help='images at once')
    parser.add_argument('--device', default=None, help='e.g. cpu, cuda:0 (default: what there is)')
    return parser.parse_args(argv)


@command('image-demo')
def main(argv: Sequence[str] | None = None) -> None:
    """Predict and draw."""
    args = parse_args(argv)
    if not Path(args.inputs).exists():
        raise FileNotFoundError(f'{args.inputs} does not exist')
    cfg = read_config(args.config)
    check_checkpoint(args.checkpoint)
    inferencer = DetInferencer(cfg, args.checkpoint, args.device)
    inferencer(args.inputs, batch_size=args.batch_size, pred_score_thr=args.score_thr,
               out_dir=args.out_dir, no_save_pred=False)
