"""What a training run is, in a few lines: the facts that `RunSummaryHook` prints before it."""

from __future__ import annotations

import os.path as osp
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from mmengine.dist import get_world_size
from mmengine.hooks import EMAHook
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapperDict
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import nn

from ..models import MultiLabelClassifier, MultiTaskDetector, SingleLabelHead, TResNet

#: A line of the summary: its name and its text.
Fact = tuple[str, str]


def run_facts(runner: Runner, max_classes: int = 12) -> list[Fact]:
    """Name and text of each line about a run that is about to start.

    Args:
        runner: With everything built and the checkpoint, if any, loaded.
        max_classes: So many classes are named at most.
    """
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    return [
        ('task', task_name(model)),
        ('backbone', backbone_name(model)),
        ('parameters', parameter_counts(model)),
        ('weights', weights_source(runner, model)),
        *_data(runner, max_classes),
        ('schedule', schedule(runner)),
        ('optimizer', optimizer(runner)),
        ('speed', speed(runner, model)),
        ('devices', devices()),
        *_files(runner),
    ]


def as_block(title: str, facts: Iterable[Fact]) -> str:
    """The facts as one block of text, their names in a column under a title."""
    facts = list(facts)
    width = max(len(name) for name, _ in facts)
    return '\n'.join(['', title, '-' * len(title),
                      *(f'{name:{width}}  {text}' for name, text in facts), ''])


def task_name(model: nn.Module) -> str:
    """What a model learns, with the name of its class."""
    from mmdet.models.detectors import BaseDetector  # which takes seconds

    tasks = ((MultiTaskDetector, 'detection and multi-label'),
             (MultiLabelClassifier, 'multi-label'), (BaseDetector, 'detection'))
    task = next((task for kind, task in tasks if isinstance(model, kind)), 'training')
    if isinstance(getattr(model, 'head', None), SingleLabelHead):
        task = 'single-label'
    inner = model.detector if isinstance(model, MultiTaskDetector) else model
    return f'{task} ({type(inner).__name__})'


def backbone_name(model: nn.Module) -> str:
    """The TResNet of a model with its arch; for other models their backbone's class."""
    for module in model.modules():
        if isinstance(module, TResNet):
            arch = module.arch
            text = arch if isinstance(arch, str) else ', '.join(
                f'{key} {_plain(value)}' for key, value in arch.items())
            return f'TResNet {text}' if isinstance(arch, str) else f'TResNet ({text})'
    return type(getattr(model, 'backbone', model)).__name__


def parameter_counts(model: nn.Module) -> str:
    """How many parameters there are, and how many of them are trained."""
    total = sum(p.numel() for p in model.parameters())
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return f'{total:,}, all trained' if trained == total else f'{total:,}, {trained:,} trained'


def weights_source(runner: Runner, model: nn.Module) -> str:
    """Where the weights come from that the run starts with."""
    if runner._resume and (runner.iter or runner.epoch):
        at = (f'epoch {runner.epoch}' if _by_epoch(runner) else f'iteration {runner.iter}')
        return f'resumed after {at}'
    if runner._load_from:
        return str(runner._load_from)
    sources = [str(cfg['checkpoint']) for module in model.modules()
               for cfg in _init_cfgs(module) if 'checkpoint' in cfg]
    return ', '.join(dict.fromkeys(sources)) or 'random'


def schedule(runner: Runner) -> str:
    """Length of the run and how the learning rate moves."""
    if _by_epoch(runner):
        epochs = f'{runner.max_epochs} epoch{"s" * (runner.max_epochs != 1)}'
        length = f'{epochs} of {len(runner.train_dataloader)} steps'
    else:
        length = f'{runner.max_iters} steps'
    schedulers = runner.param_schedulers or []
    if isinstance(schedulers, dict):
        schedulers = [one for several in schedulers.values() for one in several]
    kinds = dict.fromkeys(type(scheduler).__name__ for scheduler in schedulers)
    return f'{length}, {", ".join(kinds) or "a constant learning rate"}'


def optimizer(runner: Runner) -> str:
    """The optimiser and the learning rate that the config gives it."""
    wrapper = runner.optim_wrapper
    wrappers = wrapper.values() if isinstance(wrapper, OptimWrapperDict) else [wrapper]
    names = ', '.join(type(one.optimizer).__name__ for one in wrappers)
    rate = ((runner.cfg.get('optim_wrapper') or {}).get('optimizer') or {}).get('lr')
    if rate is None:
        return names
    # Of the config, since FlexibleRunner has it under another name.
    scaling, size = runner.cfg.get('auto_scale_lr') or {}, _batch_size(runner.train_dataloader)
    if not scaling.get('enable') or not size:
        return f'{names}, learning rate {rate:g}'
    factor = get_world_size() * size / scaling['base_batch_size']
    return f"{names}, learning rate {rate * factor:g} (the config's {rate:g} x {factor:g})"


def speed(runner: Runner, model: nn.Module) -> str:
    """Number format, and what was turned on for speed, memory or averaging."""
    wrapper = runner.cfg.get('optim_wrapper') or {}
    kind = type(runner.optim_wrapper).__name__
    dtype = {'AmpOptimWrapper': str(wrapper.get('dtype') or 'float16'),
             'AutocastOptimWrapper': 'bfloat16'}.get(kind)
    words = [f'mixed precision in {dtype}' if dtype else 'float32']
    options = runner.cfg.get('speed') or {}
    words += [name for name in ('channels_last', 'compile') if options.get(name)]
    if any(getattr(module, 'with_cp', False) for module in model.modules()):
        words.append('gradient checkpointing')
    words += [f'EMA with decay {1 - hook.ema_cfg.get("momentum", 0.0002):g}'
              for hook in runner.hooks if isinstance(hook, EMAHook)]
    return ', '.join(words)


def devices() -> str:
    """What it runs on: processes and their devices."""
    processes = get_world_size()
    if torch.cuda.is_available():
        return f'{processes} x {torch.cuda.get_device_name()}'
    threads = torch.get_num_threads()
    return (f'CPU, {processes} process{"es" if processes > 1 else ""} '
            f'with {threads} thread{"s" if threads > 1 else ""}')


def class_list(classes: Sequence[str], most: int) -> str:
    """Number and names of classes, the first ``most`` of them."""
    more = ', ...' if len(classes) > most else ''
    return f'{len(classes)}: {", ".join(classes[:most])}{more}'


def short_path(path: str) -> str:
    """A path as it is typed from the current folder, where it is below that."""
    relative = osp.relpath(path)
    return path if relative.startswith(osp.pardir) else relative


def _data(runner: Runner, max_classes: int) -> list[Fact]:
    loader = runner.train_dataloader
    size, processes = _batch_size(loader), get_world_size()
    text = f'{len(loader.dataset)} images'
    if size:
        text += f', {size * processes} a step'
        text += f' ({size} on each of {processes} processes)' if processes > 1 else ''
    wrapper = runner.optim_wrapper
    # DeepSpeed counts by itself.
    count = 1 if isinstance(wrapper, OptimWrapperDict) else getattr(
        wrapper, '_accumulative_counts', 1)
    if count > 1:
        text += f', weights moved every {count} steps'
    facts = [('train', text)]
    if runner.val_loop is not None:
        every = getattr(runner.train_loop, 'val_interval', 1)
        unit = 'epoch' if _by_epoch(runner) else 'iteration'
        facts.append(('validation', f'{len(runner.val_dataloader.dataset)} images, every '
                      f'{unit if every == 1 else f"{every} {unit}s"}'))
    classes = (getattr(loader.dataset, 'metainfo', None) or {}).get('classes')
    if classes:
        facts.append(('classes', class_list(list(classes), max_classes)))
    return facts


def _files(runner: Runner) -> list[Fact]:
    facts = [('files', short_path(runner.work_dir)),
             ('log', short_path(osp.join(runner.log_dir, f'{runner.timestamp}.log')))]
    backends = [name.removesuffix('Backend').removesuffix('Vis')
                for name in runner.visualizer._vis_backends if name != 'LocalVisBackend']
    return facts + ([('also logs to', ', '.join(backends))] if backends else [])


def _by_epoch(runner: Runner) -> bool:
    return isinstance(runner.train_loop, EpochBasedTrainLoop)


def _batch_size(loader: Any) -> int | None:
    """Images a process takes at once; None where the sampler of batches does not say it."""
    return loader.batch_size or getattr(loader.batch_sampler, 'batch_size', None)


def _init_cfgs(module: nn.Module) -> list[dict]:
    init_cfg = getattr(module, 'init_cfg', None) or []
    return [cfg for cfg in ([init_cfg] if isinstance(init_cfg, dict) else init_cfg)
            if isinstance(cfg, dict)]


def _plain(value: Any) -> str:
    return ' '.join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
