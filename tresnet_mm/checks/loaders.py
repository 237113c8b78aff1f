"""Whether the loaders give anything, and what their batch means for the learning rate."""

from __future__ import annotations

from collections.abc import Iterator

from ..config_tree import join
from .problem import Problem
from .subject import Subject


def check_batches(subject: Subject) -> Iterator[Problem]:
    """Every loader gives at least one batch: images, batch size and `drop_last` allow it."""
    for loader in subject.loaders:
        if loader.size is None:
            continue
        share = f' a process ({loader.processes} of them)' if loader.processes > 1 else ''
        if loader.size == 0:
            yield Problem(
                'the loader is empty: no image is left of '
                f'{", ".join(str(d.ann_file) for d in loader.datasets)} by filter_cfg and classes',
                join(loader.key, 'dataset'), None, 'data with objects of these classes')
        elif loader.batches() == 0:
            images = -(-loader.size // loader.processes)
            yield Problem(
                f'{images} images{share} are fewer than a batch of {loader.batch_size}, and '
                'drop_last=True leaves that batch out: there would be no step at all',
                join(loader.key, 'batch_size'), loader.batch_size,
                f'at most {images}, or {loader.key}.drop_last=False')


def check_objects(subject: Subject) -> Iterator[Problem]:
    """A training set has objects to learn: not crowds, ignored or empty ones alone."""
    loader = subject.loader('train')
    if subject.task != 'train' or loader is None:
        return
    for dataset in loader.datasets:
        ignored = dataset.crowds + sum(dataset.left_out.values())
        if dataset.size and ignored and not sum(dataset.objects.values()):
            reasons = [f'{dataset.crowds} crowds'] if dataset.crowds else []
            reasons += [f'{count} {reason}' for reason, count in dataset.left_out.items()]
            yield Problem(f'no object is left to learn from in {dataset.ann_file} '
                          f'({", ".join(reasons)})', dataset.where('ann_file'),
                          dataset.cfg.get('ann_file'), 'a file with objects of these classes')


def check_learning_rate(subject: Subject) -> Iterator[Problem]:
    """The learning rate is scaled where the batch is not the one that it is for (a note)."""
    scale = subject.cfg.get('auto_scale_lr') or {}
    base, loader = scale.get('base_batch_size'), subject.loader('train')
    if subject.task != 'train' or loader is None or not base or scale.get('enable'):
        return
    wrapper = subject.cfg.get('optim_wrapper') or {}
    steps = wrapper.get('accumulative_counts', 1)
    real = loader.batch_size * loader.processes * steps
    if real != base:
        product = ' x '.join(str(n) for n in (loader.batch_size, loader.processes, steps) if n > 1)
        rate = (wrapper.get('optimizer') or {}).get('lr')
        scaled = f'{rate * real / base:.4g}' if isinstance(rate, (int, float)) else 'scaled'
        yield Problem(
            f'it is for a batch of {base} (auto_scale_lr.base_batch_size), and this run has {real}'
            + (f' ({product})' if ' ' in product else ''), 'optim_wrapper.optimizer.lr', rate,
            f'{scaled}, or --auto-scale-lr', 'note')
