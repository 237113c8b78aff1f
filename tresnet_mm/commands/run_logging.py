"""The options of training that send what is logged to TensorBoard, Weights & Biases or MLflow."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..config_tree import metric_parts, type_name

#: A hook's interval where --log-images gives none: every so many batches of the validation.
IMAGES_EVERY = 50


def _tensorboard(cfg: Config) -> dict[str, Any]:
    return dict(type='TensorboardVisBackend')


def _wandb(cfg: Config) -> dict[str, Any]:
    project = os.environ.get('WANDB_PROJECT', 'tresnet_mm')
    return dict(type='WandbBackend', init_kwargs=dict(
        project=project, name=Path(cfg.work_dir).name, group=_config_name(cfg)))


def _mlflow(cfg: Config) -> dict[str, Any]:
    name = os.environ.get('MLFLOW_EXPERIMENT_NAME', _config_name(cfg))
    return dict(type='MLflowBackend', exp_name=name)


def _config_name(cfg: Config) -> str:
    return Path(cfg.filename).stem


#: name -> (its mmengine backend's config, the package that has to be there)
LOGGERS: dict[str, tuple[Callable[[Config], dict[str, Any]], str]] = {
    'tensorboard': (_tensorboard, 'tensorboard'),
    'wandb': (_wandb, 'wandb'),
    'mlflow': (_mlflow, 'mlflow'),
}


def add_log_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --log and --log-images."""
    parser.add_argument('--log', nargs='+', choices=LOGGERS, default=[], metavar='NAME',
                        help=f'log to these too, out of {", ".join(LOGGERS)}: losses, learning '
                        'rate, metrics, AP of each class')
    parser.add_argument('--log-images', nargs='?', type=_positive, const=IMAGES_EVERY,
                        metavar='EVERY',
                        help='in validation draw the first image of every EVERY-th batch, with its '
                        f'labels or boxes (default: {IMAGES_EVERY}), and log that')


def set_logging(cfg: Config, names: list[str], images_every: int | None = None) -> None:
    """Have a run log to more places than its own folder.

    Args:
        cfg: The config, with ``work_dir``; changed in place.
        names: Keys of `LOGGERS`.
        images_every: As of --log-images; None leaves the config's drawing as it is.

    Raises:
        ValueError: If a package is missing, or pictures are asked for and the config draws none.
    """
    for name in names:
        if find_spec(LOGGERS[name][1]) is None:
            raise ValueError(f'--log {name} needs the package {LOGGERS[name][1]}, which is not '
                             f'installed: pip install {LOGGERS[name][1]}')
    if names:
        _add_backends(cfg, [LOGGERS[name][0](cfg) for name in dict.fromkeys(names)])
        _log_classes(cfg)
    if images_every is not None:
        hook = (cfg.get('default_hooks') or {}).get('visualization')
        if hook is None:
            raise ValueError('--log-images needs default_hooks.visualization in the config, such '
                             "as dict(type='DetVisualizationHook')")
        hook.update(draw=True, interval=images_every)


def _add_backends(cfg: Config, backends: list[dict[str, Any]]) -> None:
    """Add backends to the visualizer, each in the place of one of its kind."""
    cfg.visualizer = cfg.get('visualizer') or dict(type='Visualizer')
    there = cfg.visualizer.get('vis_backends') or [dict(type='LocalVisBackend')]
    there = [there] if isinstance(there, dict) else there
    kinds = {_kind(backend) for backend in backends}
    cfg.visualizer.vis_backends = [*(one for one in there if _kind(one) not in kinds), *backends]


def _kind(backend: dict[str, Any]) -> str:
    """What a backend writes to, whichever of two classes does it: 'wandb', 'mlflow', ..."""
    name = type_name(backend['type'])
    return name.removesuffix('Backend').removesuffix('Vis').lower()


def _log_classes(cfg: Config) -> None:
    """Have the metrics of validation give the AP of each class."""
    metric: Any
    for _, metric in metric_parts(cfg.get('val_evaluator'), 'val_evaluator'):
        kind = type_name(metric.get('type'))
        if kind == 'MultiLabelMetric':
            metric.setdefault('class_scalars', True)
        elif kind.endswith('CocoMetric'):
            metric.setdefault('classwise', True)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f'must be 1 or more, got {value}')
    return value
