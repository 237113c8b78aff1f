"""Trains the small models whose exported files `python -m benchmarks deployment` measures.

They are those of `cards` and `bccd` with the TResNet and seed 0, each kept with its config. What
has a checkpoint already is not trained again.

Examples:
    python -m benchmarks.experiments.deployed_models --cards path/to/images --bccd path/to/BCCD
"""
from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config

from . import bccd, cards
from .command import DATA
from .small_sets import make_small
from .trainings import train_and_test

FOLDER = Path('work_dirs/experiments/deployment')
#: name -> the experiment that it is of, and its contender there
TRAINED = {
    'cards_classifier': (cards.COMPARISON, 'classifier_tresnet'),
    'cards_fcos': (cards.COMPARISON, 'fcos_tresnet'),
    'cards_joint': (cards.COMPARISON, 'joint_tresnet'),
    'bccd_fcos': (bccd.COMPARISON, 'fcos_tresnet'),
}


def trained(name: str) -> tuple[Path, Path]:
    """Where the config and the checkpoint of one of `TRAINED` lie, once it is trained."""
    return FOLDER / name / 'config.py', FOLDER / name / 'weights.pth'


def train(name: str, source: Path) -> None:
    """Train one of `TRAINED` on its data set as it was published, unless that was done."""
    config, weights = trained(name)
    if weights.is_file():
        return
    experiment, contender = TRAINED[name]
    data = DATA / f'{source.name}_{max(experiment.size)}'
    make_small(source, data, max(experiment.size))
    cfg: Config = experiment.contenders(data)[contender]
    cfg.randomness = dict(seed=0)
    cfg.work_dir = str(config.parent)
    cfg.default_hooks.checkpoint = dict(
        type='CheckpointHook', interval=experiment.epochs, save_optimizer=False,
        save_param_scheduler=False)
    config.parent.mkdir(parents=True, exist_ok=True)
    cfg.dump(config)
    result = train_and_test(cfg.to_dict())
    (config.parent / f'epoch_{experiment.epochs}.pth').replace(weights)
    print(f'{name}: {result["seconds"]:.0f} s, {result["metrics"]}', flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    """Train what is missing."""
    parser = argparse.ArgumentParser(
        prog='python -m benchmarks.experiments.deployed_models', description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--cards', type=Path, required=True, help='the data set as published')
    parser.add_argument('--bccd', type=Path, required=True, help='the data set as published')
    parser.add_argument('--only', nargs='+', choices=TRAINED, default=list(TRAINED))
    args = parser.parse_args(argv)
    for name in args.only:
        train(name, getattr(args, name.partition('_')[0]))


if __name__ == '__main__':
    main()
