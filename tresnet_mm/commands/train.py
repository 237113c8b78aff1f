"""Train a model, with the options that mmdet's tool has.

Examples:
    tresnet-mm train fcos_tresnet_m
    python tools/train.py configs/fcos_tresnet_m.py --amp --work-dir work_dirs/a --resume
    bash tools/dist_train.sh configs/fcos_tresnet_m.py 8 --auto-scale-lr
    tresnet-mm train multilabel_tresnet_m_224 --log tensorboard wandb --log-images
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import torch
from mmengine.config import Config
from mmengine.registry import RUNNERS
from mmengine.runner import FlexibleRunner, Runner

from ..config_tree import parts, type_name
from ..engine import HostWatchHook, choose_checkpoint
from ..engine.finite_hook import ACTIONS
from ..engine.stop_signal_hook import TrainingStopped
from . import launch
from .check import require_agreement
from .command_line import command, make_parser
from .run_errors import explained
from .run_logging import add_log_arguments, set_logging


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = make_parser('train', __doc__)
    parser.add_argument('config', help=launch.CONFIG_HELP)
    precision = parser.add_mutually_exclusive_group()
    precision.add_argument('--amp', action='store_const', dest='amp_dtype', const='float16',
                           help='the same as --amp-dtype float16')
    precision.add_argument('--amp-dtype', choices=['float16', 'bfloat16'],
                           help='mixed precision in this type; float16 scales the loss and needs '
                           'a GPU, bfloat16 works everywhere')
    parser.add_argument('--channels-last', action='store_true',
                        help='lay weights and features out as torch.channels_last')
    parser.add_argument('--compile', action='store_true',
                        help='compile the backbone with torch.compile')
    parser.add_argument('--grad-checkpoint', action='store_true',
                        help='compute the activations of the backbone again in backward')
    parser.add_argument('--auto-scale-lr', action='store_true',
                        help='scale the learning rate with the batch size of all processes')
    parser.add_argument('--resume', nargs='?', const='auto', metavar='CHECKPOINT',
                        help='go on from a checkpoint; without a name, from the latest one')
    parser.add_argument('--resume-schedule', choices=['config', 'checkpoint'], default='config',
                        help='which learning rate schedule --resume goes on with where they differ '
                        '(default: %(default)s)')
    add_log_arguments(parser)
    parser.add_argument('--not-finite', choices=ACTIONS, default='stop',
                        help='what to do where a loss or a gradient is NaN or infinite: stop the '
                        'run, or skip the step, ten in a row at most (default: %(default)s)')
    launch.add_common_arguments(parser)
    return parser.parse_args(argv)


def set_amp_dtype(cfg: Config, dtype: str) -> None:
    """Train in mixed precision in a given type; float16 with a dynamic loss scale."""
    if dtype == 'float16':
        if not torch.cuda.is_available():
            raise ValueError('--amp (float16) scales gradients on a GPU, and PyTorch sees none '
                             'here; --amp-dtype bfloat16 works without')
        cfg.optim_wrapper.update(type='AmpOptimWrapper', loss_scale='dynamic', dtype=dtype)
        return
    for key in ('loss_scale', 'dtype'):  # of the float16 wrappers
        cfg.optim_wrapper.pop(key, None)
    cfg.optim_wrapper.type = 'AutocastOptimWrapper'


def set_speed(cfg: Config, **options: bool) -> None:
    """Have the model prepared by `FastRunner`: ``channels_last``, ``compile``."""
    if 'runner_type' in cfg and type_name(cfg.runner_type) != 'FastRunner':
        raise ValueError(f'--channels-last and --compile need the runner FastRunner, and the '
                         f'config sets runner_type={cfg.runner_type!r}')
    cfg.runner_type = 'FastRunner'
    cfg.speed = {**cfg.get('speed', {}), **options}


def set_grad_checkpoint(cfg: Config) -> None:
    """Turn on gradient checkpointing in every backbone of the model."""
    found = [node['backbone'] for _, node in parts(cfg.model)
             if isinstance(node.get('backbone'), dict)]
    if not found:
        raise ValueError('--grad-checkpoint sets with_cp of the backbone, and the model has none')
    for backbone in found:
        backbone['with_cp'] = True


def set_auto_scale_lr(cfg: Config) -> None:
    """Scale the learning rate by batch size / base batch size."""
    if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
        raise ValueError('--auto-scale-lr needs auto_scale_lr=dict(base_batch_size=...) in the '
                         f'config, and {cfg.filename} has none')
    cfg.auto_scale_lr.enable = True


def set_resume(cfg: Config, checkpoint: str, schedule: str = 'config') -> None:
    """Resume from a checkpoint, or with ``'auto'`` from the latest in the work dir."""
    cfg.resume = True
    cfg.load_from = None if checkpoint == 'auto' else checkpoint
    launch.add_hook(cfg, dict(type='ResumeScheduleHook', schedule=schedule))


def build_config(args: argparse.Namespace, check: bool = False) -> Config:
    """The config that the command line describes, with the files that it names checked.

    Args:
        args: The command line.
        check: Whether to hold config, data and checkpoint against each other; where they do not
            agree, the process ends.

    Raises:
        FileNotFoundError: If the config, a checkpoint or an annotation file does not exist.
        ValueError: If an option does not fit the config or the machine.
    """
    cfg = launch.load_config(args)
    if args.amp_dtype:
        set_amp_dtype(cfg, args.amp_dtype)
    if args.channels_last or args.compile:
        set_speed(cfg, channels_last=args.channels_last, compile=args.compile)
    if args.grad_checkpoint:
        set_grad_checkpoint(cfg)
    if args.auto_scale_lr:
        set_auto_scale_lr(cfg)
    if args.resume is not None:
        set_resume(cfg, args.resume, args.resume_schedule)
    set_logging(cfg, args.log, args.log_images)
    launch.set_summary(cfg, args)
    if cfg.get('load_from'):
        launch.check_checkpoint(cfg.load_from)
    if check:
        require_agreement('train', cfg)
    else:
        launch.check_annotation_files(cfg, 'train_dataloader', 'val_dataloader')
    if not cfg.get('resume'):  # may download, so that what costs nothing is looked at before
        launch.check_pretrained(cfg)
    launch.add_hook(cfg, dict(type='DropCalibrationHook'))
    launch.add_hook(cfg, dict(type='WholeWeightsHook', whole=bool(cfg.get('resume'))))
    add_safety(cfg, args.not_finite)
    return cfg


def add_safety(cfg: Config, not_finite: str) -> None:
    """Have the run survive a stop or a kill, and end where it goes wrong."""
    for hook in (dict(type='RepeatableHook'), dict(type='FiniteHook', action=not_finite),
                 dict(type='ValidateOnResumeHook'), dict(type='StopSignalHook'),
                 dict(type='MemoryHook'), dict(type='WorkerHook')):
        launch.add_hook(cfg, hook)
    if cfg.launcher != 'none':
        # Each process has running statistics of its own, and only the first one's are saved.
        launch.add_hook(cfg, dict(type='SyncBuffersHook'))
        launch.add_host_watch(cfg)


def run(runner: Runner) -> None:
    """Train; what ends a run from outside, or makes it go wrong, is said in one line."""
    try:
        with explained(runner):
            if isinstance(runner, FlexibleRunner):
                choose_checkpoint(runner)  # it loads before it calls a hook
            runner.train()
    except TrainingStopped as stopped:
        for hook in runner.hooks:
            if isinstance(hook, HostWatchHook):
                hook.leave()
        print(f'train: {stopped}', file=sys.stderr)
        sys.exit(128 + stopped.number)


@command('train')
def main(argv: Sequence[str] | None = None) -> None:
    """Build the runner and train."""
    args = parse_args(argv)
    cfg = build_config(args, check=not args.no_check)
    launch.set_up_processes(cfg, args.local_rank)
    runner = Runner.from_cfg(cfg) if 'runner_type' not in cfg else RUNNERS.build(cfg)
    run(runner)
