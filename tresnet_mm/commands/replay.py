"""Run again the step at which a training stopped, its loss or gradient not finite.

Prints each term of the loss and, where it comes to that, which gradients are not finite.

Examples:
    tresnet-mm replay work_dirs/my_config/not_finite_epoch_3_iter_1207.pth
    tresnet-mm replay not_finite_epoch_3_iter_1207.pth --config my_config.py --cfg-options seed=1
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import DictAction
from mmengine.hooks import Hook
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from ..engine import NotFinite
from ..engine.finite_hook import image_files
from . import launch
from .command_line import command, make_parser


class _OneStepDone(Exception):
    pass


class _SoundStatisticsHook(Hook):
    """Lets a file be loaded whose running statistics are not finite.

    The forward pass of the step that failed has spoilt them. Running it again does not need them:
    layers that update them in training normalise by the batch.
    """

    priority = 'HIGHEST'  # before the weights are looked over

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        for name in ('state_dict', 'ema_state_dict'):
            for key, value in checkpoint.get(name, {}).items():
                if key.endswith(('running_mean', 'running_var')) and not value.isfinite().all():
                    value.fill_(float(key.endswith('running_var')))


class _ReportHook(Hook):
    """Prints what one iteration gave, and ends the run."""

    priority = 'LOWEST'

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        print(f'iteration {runner.iter + 1}, epoch {runner.epoch + 1}, images:',
              *image_files(data_batch), sep='\n  ')

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None,
                         outputs: dict | None = None) -> None:
        for name, value in (outputs or {}).items():
            print(f'{name}: {float(value):g}')
        raise _OneStepDone


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = make_parser('replay', __doc__)
    parser.add_argument('file', help='not_finite_epoch_E_iter_I.pth of the run')
    parser.add_argument('--config', help=f'{launch.CONFIG_HELP} (default: the one that the run '
                        'left in its work dir)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction,
                        help=launch.CFG_OPTIONS_HELP)
    return parser.parse_args(argv)


def config_of(file: Path) -> str:
    """The config that mmengine's runner wrote beside a run's checkpoints.

    Raises:
        FileNotFoundError: There is none, or more than one.
    """
    found = sorted(file.parent.glob('*.py'))
    if len(found) != 1:
        raise FileNotFoundError(
            f'{file.parent} has {len(found)} config files, where one was expected; name the '
            "run's by --config")
    return str(found[0])


@command('replay')
def main(argv: Sequence[str] | None = None) -> None:
    """Resume from the file for one iteration."""
    args = parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        launch.check_checkpoint(args.file)
        args.config = args.config or config_of(Path(args.file))
        args.launcher, args.work_dir = 'none', folder
        cfg = launch.load_config(args)
        cfg.update(resume=True, load_from=args.file, log_level='ERROR')
        for hook in ('RepeatableHook', 'FiniteHook'):
            if hook not in [entry.get('type') for entry in cfg.get('custom_hooks') or ()]:
                launch.add_hook(cfg, dict(type=hook))
        runner = Runner.from_cfg(cfg) if 'runner_type' not in cfg else RUNNERS.build(cfg)
        runner.register_hook(_SoundStatisticsHook())
        runner.register_hook(_ReportHook())
        try:
            runner.train()
        except _OneStepDone:
            print('the step is finite this time')
        except NotFinite as error:
            print(error)
