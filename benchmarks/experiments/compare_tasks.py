"""Compare one model of both tasks with a detector and a classifier trained for themselves.

All three see the synthetic shapes for the same number of epochs, with the same backbone, from
scratch. Prints parameters, seconds per image and both mAPs. What has a result already is not
trained again.

Examples:
    python -m benchmarks.experiments.compare_tasks
    python -m benchmarks.experiments.compare_tasks --seeds 0 1 2
"""
from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import MODELS, init_default_scope

from tresnet_mm.commands import runs
from tresnet_mm.datasets.shapes import SHAPES_SET, make_shapes

from ..markdown_table import markdown_table

ROOT = Path(__file__).resolve().parents[2]
BOXES, LABELS = 'coco/bbox_mAP', 'multi-label/mAP'
#: name in the table, config, metrics that it has
MODELS_COMPARED = {
    'boxes': ('detector', 'fcos_tresnet_tiny_shapes', (BOXES, )),
    'labels': ('classifier', 'multilabel_tresnet_tiny_shapes', (LABELS, )),
    'both': ('both tasks', 'multitask_fcos_tresnet_tiny_shapes', (BOXES, LABELS)),
}


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--seeds', nargs='+', type=int, default=[0], metavar='SEED')
    parser.add_argument('--epochs', type=int, default=6, help='of every model (default: 6)')
    parser.add_argument('--timed-images', type=int, default=100,
                        help='images per model and round of the timing (default: %(default)s)')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/compare_tasks'))
    return parser.parse_args(argv)


def config_path(model: str) -> Path:
    """The config of one of ``MODELS_COMPARED``."""
    return ROOT / 'configs' / f'{MODELS_COMPARED[model][1]}.py'


def train_and_test(args: argparse.Namespace, model: str, seed: int) -> dict[str, float]:
    """The metrics of one trained model."""
    config, work_dir = str(config_path(model)), args.work_dir / f'{model}_{seed}'
    options = [f'train_cfg.max_epochs={args.epochs}',
               f'param_scheduler.0.total_steps={args.epochs}', f'randomness.seed={seed}']
    checkpoint = runs.train(config, work_dir, options, quiet=True)
    metrics = runs.test(config, checkpoint, work_dir / 'test', options, quiet=True)
    return {key: runs.metric(metrics, key) for key in MODELS_COMPARED[model][2]}


def compare(args: argparse.Namespace) -> dict[str, dict[str, dict[str, float]]]:
    """Train and evaluate what has no result yet; metrics by model and seed."""
    args.work_dir.mkdir(parents=True, exist_ok=True)
    file = args.work_dir / 'results.json'
    saved = json.loads(file.read_text()) if file.is_file() else {}
    settings = dict(epochs=args.epochs)
    results = saved.get('results', {}) if saved.get('settings') == settings else {}
    for seed in args.seeds:
        for model in MODELS_COMPARED:
            if str(seed) in results.setdefault(model, {}):
                continue
            print(f'{model}, seed {seed} ...', end=' ', flush=True)
            results[model][str(seed)] = train_and_test(args, model, seed)
            print(results[model][str(seed)], flush=True)
            file.write_text(json.dumps(dict(settings=settings, results=results), indent=2))
    return results


def measure(images: int) -> dict[str, tuple[int, float]]:
    """Parameters and seconds per image of each model, predicting one image at a time.

    Weights are untrained, and score thresholds 0 make every detector keep as many boxes. The models
    take turns image by image, so that a busy machine slows all alike; medians are returned.
    """
    built, seconds = {}, {}
    for model in MODELS_COMPARED:
        cfg = Config.fromfile(config_path(model))
        init_default_scope(cfg.get('default_scope', 'mmdet'))
        detector = cfg.model.get('detector', cfg.model)
        if 'test_cfg' in detector:
            detector.test_cfg.score_thr = 0.0
        built[model] = MODELS.build(cfg.model).eval()
        seconds[model] = []
    for index in range(images + 3):
        image = torch.randint(0, 256, (3, SHAPES_SET.size, SHAPES_SET.size), dtype=torch.uint8)
        for model, network in built.items():
            data = pseudo_collate([dict(inputs=image, data_samples=_sample(model))])
            start = time.perf_counter()
            with torch.inference_mode():
                network.test_step(data)
            if index >= 3:  # the first calls choose kernels
                seconds[model].append(time.perf_counter() - start)
    return {model: (sum(p.numel() for p in network.parameters()),
                    statistics.median(seconds[model])) for model, network in built.items()}


def _sample(model: str):
    from mmdet.structures import DetDataSample
    from mmengine.structures import BaseDataElement
    shape = (SHAPES_SET.size, SHAPES_SET.size)
    meta = dict(img_shape=shape, ori_shape=shape, scale_factor=(1.0, 1.0))
    return (BaseDataElement if model == 'labels' else DetDataSample)(metainfo=meta)


def to_markdown(results: Mapping[str, Mapping[str, Mapping[str, float]]],
                measured: Mapping[str, tuple[int, float]]) -> str:
    """The table: means over the seeds, mAPs in percent."""
    def mean(model: str, key: str, scale: float) -> str:
        values = [run[key] for run in results[model].values() if key in run]
        return f'{scale * statistics.mean(values):.1f}' if values else '-'

    rows = [(name, *measured[model], mean(model, BOXES, 100), mean(model, LABELS, 1))
            for model, (name, *_) in MODELS_COMPARED.items()]
    two = tuple(a + b for a, b in zip(measured['boxes'], measured['labels'], strict=True))
    rows.insert(2, ('the two together', *two, rows[0][3], rows[1][4]))
    return markdown_table([
        {'model': name, 'parameters (M)': f'{parameters / 1e6:.2f}',
         'ms per image': f'{1000 * seconds:.1f}', 'box mAP': boxes, 'label mAP': labels}
        for name, parameters, seconds, boxes, labels in rows])


def main() -> None:
    """Make the data, run the comparison, print the table."""
    args = parse_args()
    try:
        make_shapes(Config.fromfile(config_path('boxes')).data_root, SHAPES_SET)
        results = compare(args)
    except (runs.RunError, FileExistsError) as error:
        sys.exit(f'compare_tasks: {error}')
    table = to_markdown(results, measure(args.timed_images))
    (args.work_dir / 'table.md').write_text(table + '\n')
    print(f'\n{args.epochs} epochs each, mean of {len(args.seeds)} seed(s), one image at a time:'
          f'\n\n{table}')


if __name__ == '__main__':
    main()
