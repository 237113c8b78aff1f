"""What a newcomer gets: the config that ``tresnet-mm prepare-data`` writes, untouched.

Prepares a data set, trains with the config that lies in it, tests the last checkpoint on the test
part, and draws predictions on some photographs of it, evenly spaced and not chosen. One run a data
set.

Examples:
    python -m benchmarks.experiments.newcomer --data path/to/BCCD --picture docs/images/newcomer.jpg
    python -m benchmarks.experiments.newcomer --table
"""
from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import mmcv
from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope

from tresnet_mm import Inferencer
from tresnet_mm.checkpoint.saved_runs import newest_whole
from tresnet_mm.commands import runs
from tresnet_mm.visualization import contact_sheet

from ..markdown_table import markdown_table
from ..record import environment
from .trainings import RESULTS

WORK = Path('work_dirs/experiments/newcomer')
FILE = RESULTS / 'newcomer.json'
METRICS = {'box mAP': ('coco/bbox_mAP', 100), 'at IoU 0.5': ('coco/bbox_mAP_50', 100),
           'label mAP': ('multi-label/mAP', 1)}


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', type=Path, help='the data set as it was published')
    parser.add_argument('--picture', type=Path, help='file for predictions on test photographs')
    parser.add_argument('--images', type=int, default=6, help='on the picture (default: 6)')
    parser.add_argument('--table', action='store_true', help='only print the table of what is kept')
    return parser.parse_args(argv)


def prepare(source: Path, folder: Path) -> Path:
    """Prepare a data set with the command's defaults; the config that it wrote.

    Raises:
        RunError: The command failed or wrote no single config.
    """
    if not folder.is_dir():
        command = [sys.executable, '-m', 'tresnet_mm', 'prepare-data', str(source), str(folder)]
        if subprocess.run(command).returncode:
            raise runs.RunError(f'{" ".join(command[2:])} failed')
    configs = sorted(folder.glob('*.py'))
    if len(configs) != 1:
        raise runs.RunError(f'{folder}: one config expected, found {[c.name for c in configs]}')
    return configs[0]


def train_and_test(config: Path, work_dir: Path) -> dict[str, Any]:
    """Train and test a config as it is; its metrics, seconds of the training, and settings."""
    start = time.perf_counter()
    checkpoint = runs.train(str(config), work_dir, quiet=True)
    seconds = time.perf_counter() - start
    metrics = runs.test(str(config), checkpoint, work_dir / 'test', quiet=True)
    cfg = Config.fromfile(config)
    return dict(metrics={key: round(value, 4) for key, value in metrics.items()
                         if isinstance(value, float)},
                seconds=round(seconds, 1), checkpoint=checkpoint.name, load=os.getloadavg()[0],
                batch_size=cfg.train_dataloader.batch_size, epochs=cfg.train_cfg.get('max_epochs'))


def draw(config: Path, work_dir: Path, picture: Path, images: int, width: int = 1200) -> None:
    """Predict on photographs of the test part, evenly spaced, and put them on one picture."""
    init_default_scope('mmdet')
    dataset = DATASETS.build(Config.fromfile(config).test_dataloader.dataset)
    places = [round(place * len(dataset) / images) for place in range(images)]
    paths = [dataset.get_data_info(place)['img_path'] for place in places]
    Inferencer(str(config), str(newest_whole(work_dir)), show_progress=False)(
        paths, out_dir=str(work_dir / 'pictures'))
    tiles = [mmcv.imread(work_dir / 'pictures/vis' / f'{Path(path).stem}.jpg', channel_order='rgb')
             for path in paths]
    sheet = contact_sheet(tiles, columns=3)
    sheet = mmcv.imrescale(sheet, width / sheet.shape[1], interpolation='area')
    mmcv.imwrite(sheet[..., ::-1], str(picture), [cv2.IMWRITE_JPEG_QUALITY, 85])


def table(results: Mapping[str, Mapping[str, Any]]) -> str:
    """A line for each data set: what it reaches and what it takes."""
    rows = []
    for name, run in results.items():
        metrics = {title: f'{scale * run["metrics"][key]:.1f}' if key in run['metrics'] else '-'
                   for title, (key, scale) in METRICS.items()}
        rows.append({'data': name, 'epochs': run['epochs'],
                     'minutes of training': f'{run["seconds"] / 60:.1f}', **metrics})
    return markdown_table(rows)


def main(argv: Sequence[str] | None = None) -> None:
    """Train what has no result yet, draw the picture, print the table."""
    args = parse_args(argv)
    kept = json.loads(FILE.read_text()) if FILE.is_file() else dict(name='newcomer', runs={})
    if args.data and not args.table:
        name = args.data.name
        try:
            config = prepare(args.data, WORK / name)
            if name not in kept['runs']:
                kept['runs'][name] = train_and_test(config, WORK / f'{name}_run')
                kept['environment'] = environment()
                FILE.write_text(json.dumps(kept, indent=1) + '\n')
        except runs.RunError as error:
            sys.exit(f'newcomer: {error}')
        if args.picture:
            draw(config, WORK / f'{name}_run', args.picture, args.images)
    print(table(kept['runs']))


if __name__ == '__main__':
    main()
