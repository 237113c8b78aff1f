"""Hooks that copy weights, against a strategy that gives each process a shard of them."""

from __future__ import annotations

from collections.abc import Iterator

from ..config_tree import join, type_name
from .problem import Problem
from .subject import Subject

#: What a hook does with the weights, and what would do.
_HOOKS = {
    'EMAHook': ('averages', 'without it and what reports its average, or without the strategy'),
    'BestWeightsHook': ('writes', "default_hooks.checkpoint.save_best='{metric}' in its place"),
}


def check_sharded_hooks(subject: Subject) -> Iterator[Problem]:
    """No hook takes a process's shard of the weights for the whole (FSDP)."""
    strategy = type_name((subject.cfg.get('strategy') or {}).get('type'))
    if subject.task != 'train' or strategy != 'FSDPStrategy':
        return
    for i, hook in enumerate(subject.cfg.get('custom_hooks') or ()):
        name = type_name(hook.get('type'))
        if name in _HOOKS:
            does, right = _HOOKS[name]
            yield Problem(
                f'the hook {does} the weights of one process, and {strategy} gives each a shard',
                join('custom_hooks', i, 'type'), name,
                right.format(metric=hook.get('metric', 'multi-label/mAP')))
