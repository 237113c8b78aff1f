"""What a strategy cannot do that gives each process a shard of the weights (FSDP)."""

from __future__ import annotations

from collections.abc import Iterator

from ..config_tree import join, type_name
from .problem import Problem, listed
from .subject import Subject

#: What a hook does with the weights, and what would do.
_HOOKS = {
    'EMAHook': ('averages', 'without it and what reports its average, or without the strategy'),
    'BestWeightsHook': ('writes', "default_hooks.checkpoint.save_best='{metric}' in its place"),
}


def _shards(subject: Subject) -> bool:
    strategy = (subject.cfg.get('strategy') or {}).get('type')
    return subject.task == 'train' and type_name(strategy) == 'FSDPStrategy'


def check_sharded_hooks(subject: Subject) -> Iterator[Problem]:
    """No hook takes a process's shard of the weights for the whole (FSDP)."""
    if not _shards(subject):
        return
    for i, hook in enumerate(subject.cfg.get('custom_hooks') or ()):
        name = type_name(hook.get('type'))
        if name in _HOOKS:
            does, right = _HOOKS[name]
            yield Problem(
                f'the hook {does} the weights of one process, and FSDPStrategy gives each a shard',
                join('custom_hooks', i, 'type'), name,
                right.format(metric=hook.get('metric', 'multi-label/mAP')))


def check_sharded_parameters(subject: Subject) -> Iterator[Problem]:
    """No parameter is one that FSDP cannot share out or save: a scalar, or of a joint model."""
    if not _shards(subject) or isinstance(subject.built, Exception):
        return
    parameters = dict(subject.built.named_parameters())
    scalars = [name for name, parameter in parameters.items() if parameter.ndim == 0]
    if scalars:
        yield _not_shared(f'it takes no scalar parameters: {listed(scalars, 3)}')
    renamed = sorted(parameters.keys() - subject.built.state_dict().keys())
    if renamed:
        yield _not_shared('it cannot save parameters under other names than they have in the '
                          f'model: {listed(renamed, 3)}')


def _not_shared(what: str) -> Problem:
    return Problem(what, 'strategy.type', 'FSDPStrategy',
                   'without the strategy, or another model')
