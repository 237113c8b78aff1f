"""Compare the asymmetric loss with cross entropy and focal loss on sparse labels.

Every loss trains the same network on the same data for the same number of epochs, once a seed; runs
of one seed start from the same weights and see the same batches. Results are written after every
run, and a comparison that was interrupted goes on where it was.

Examples:
    python -m benchmarks.experiments.compare_losses
    python -m benchmarks.experiments.compare_losses --seeds 0 1 2 3 4 --losses asl bce
"""
from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmengine.config import Config

from tresnet_mm.commands import runs
from tresnet_mm.datasets.shapes import SPARSE_SHAPES_SET, make_shapes

from ..markdown_table import markdown_table

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / 'configs/multilabel_tresnet_tiny_shapes_sparse.py'
METRIC = 'multi-label/mAP'
#: (name in the table, gamma_neg, gamma_pos, clip); all summed over images and classes
LOSSES = {
    'asl': ('ASL (4, 0, 0.05)', 4, 0, 0.05),
    'bce': ('binary cross entropy', 0, 0, 0.0),
    'focal': ('focal (2, 2)', 2, 2, 0.0),
}


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--losses', nargs='+', choices=LOSSES, default=list(LOSSES))
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2], metavar='SEED')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/compare_losses'))
    parser.add_argument('--cfg-options', nargs='+', default=[], metavar='KEY=VALUE',
                        help='changes to the config, the same for every run')
    return parser.parse_args(argv)


def loss_options(loss: str) -> list[str]:
    """The changes to the config that make it train with one of ``LOSSES``."""
    _, gamma_neg, gamma_pos, clip = LOSSES[loss]
    values = dict(gamma_neg=gamma_neg, gamma_pos=gamma_pos, clip=clip)
    return [f'model.head.loss.{key}={value}' for key, value in values.items()]


def compare(args: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Train and evaluate what has no result yet.

    Returns:
        mAP in percent by loss and seed, seeds as strings.
    """
    args.work_dir.mkdir(parents=True, exist_ok=True)
    file = args.work_dir / 'results.json'
    # results of other options would not be comparable
    saved = json.loads(file.read_text()) if file.is_file() else {}
    results = saved.get('mAP', {}) if saved.get('cfg_options') == args.cfg_options else {}
    for seed in args.seeds:
        for loss in args.losses:
            if str(seed) in results.setdefault(loss, {}):
                continue
            print(f'{loss}, seed {seed} ...', end=' ', flush=True)
            results[loss][str(seed)] = train_and_test(args, loss, seed)
            print(f'{METRIC} {results[loss][str(seed)]:.2f}', flush=True)
            file.write_text(json.dumps(dict(
                config=CONFIG.name, cfg_options=args.cfg_options, mAP=results), indent=2))
    return {loss: {str(s): results[loss][str(s)] for s in args.seeds} for loss in args.losses}


def train_and_test(args: argparse.Namespace, loss: str, seed: int) -> float:
    """The mAP in percent after the last epoch of one run."""
    work_dir = args.work_dir / f'{loss}_{seed}'
    options = [*args.cfg_options, *loss_options(loss), f'randomness.seed={seed}']
    checkpoint = runs.train(str(CONFIG), work_dir, options, quiet=True)
    metrics = runs.test(str(CONFIG), checkpoint, work_dir / 'test', options, quiet=True)
    return runs.metric(metrics, METRIC)


def to_markdown(results: Mapping[str, Mapping[str, float]]) -> str:
    """A table of the mAP of every seed, their mean and their standard deviation."""
    rows = []
    for loss, by_seed in results.items():
        values = list(by_seed.values())
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        rows.append({
            'loss': LOSSES[loss][0], **{f'seed {seed}': f'{v:.1f}' for seed, v in by_seed.items()},
            'mean': f'{statistics.mean(values):.1f}', 'std': f'{spread:.1f}'})
    return markdown_table(rows)


def main() -> None:
    """Make the data, run the comparison, print the table."""
    args = parse_args()
    try:
        make_shapes(Config.fromfile(CONFIG).data_root, SPARSE_SHAPES_SET)
        results = compare(args)
    except (runs.RunError, FileExistsError) as error:
        sys.exit(f'compare_losses: {error}')
    print(f'\nmAP in percent after equal training:\n\n{to_markdown(results)}')
    print(f'\n{args.work_dir / "results.json"}')


if __name__ == '__main__':
    main()
