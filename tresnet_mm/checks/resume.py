"""A run that is resumed: the checkpoint's state against the config's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..checkpoint.config_text import parse_config
from ..config_tree import type_name
from .problem import Problem, shown
from .schedule import run_length
from .subject import Subject

#: What else than weights mmengine's runner takes up, and cannot do without.
_STATE = ('message_hub', 'optimizer')


def check_resumable(subject: Subject) -> Iterator[Problem]:
    """A checkpoint to resume from holds the state of a run, not weights alone."""
    checkpoint = subject.checkpoint
    if not subject.resume or checkpoint is None or not checkpoint.readable:
        return
    lacking = [key for key in _STATE if key not in checkpoint.content]
    lacking += [f'meta.{key}' for key in ('epoch', 'iter') if key not in checkpoint.meta]
    if lacking:
        yield Problem(f'weights alone, without the state of a run ({", ".join(lacking)})',
                      checkpoint.key, checkpoint.source,
                      'load_from to start from these weights, or --resume with an epoch_N.pth')


def check_resumed_length(subject: Subject) -> Iterator[Problem]:
    """The run that is resumed was not at its end already."""
    checkpoint = subject.checkpoint
    if not subject.resume or checkpoint is None or not checkpoint.readable:
        return
    for done, length, name in zip(
            (checkpoint.meta.get('epoch'), checkpoint.meta.get('iter')), run_length(subject),
            ('epochs', 'iters'), strict=True):
        by_epoch = 'max_epochs' in (subject.cfg.get('train_cfg') or {})
        if by_epoch == (name == 'epochs') and isinstance(done, int) and length and done >= length:
            yield Problem(f'the checkpoint has done {done} already: nothing is left to train',
                          f'train_cfg.max_{name}', length, f'more than {done}', 'note')


def check_resumed_schedule(subject: Subject) -> Iterator[Problem]:
    """A schedule that was changed since the checkpoint is told, and which of the two holds."""
    before = schedule_of_checkpoint(subject)
    if before is None:
        return
    now = schedule_of_config(subject.cfg)
    changed = sorted(key for key in now if before.get(key) != now[key])
    if not changed:
        return
    hooks = [hook for hook in subject.cfg.get('custom_hooks') or ()
             if type_name(hook.get('type')) == 'ResumeScheduleHook']
    held = hooks[-1].get('schedule', 'config') if hooks else 'checkpoint'
    what = '; '.join(f'{key} was {shown(before.get(key))}' for key in changed)
    holds = ("the config's holds, from the step that the checkpoint reached"
             if held == 'config' else "the checkpoint's holds, the config's is not used")
    yield Problem(f'changed since the checkpoint ({what}): {holds}', changed[0],
                  shown(now[changed[0]]), '--resume-schedule config or checkpoint to choose',
                  'note')


def schedule_of_config(cfg: Any) -> dict[str, Any]:
    """What decides the learning rate, by dotted key."""
    wrapper = cfg.get('optim_wrapper') or {}
    loop = cfg.get('train_cfg') or {}
    return {'param_scheduler': _plain(cfg.get('param_scheduler')),
            'optim_wrapper.optimizer.lr': (wrapper.get('optimizer') or {}).get('lr'),
            'train_cfg.by_epoch': 'max_epochs' in loop}


def schedule_of_checkpoint(subject: Subject) -> dict[str, Any] | None:
    """The same of the config that a checkpoint to resume from holds; None where it holds none."""
    checkpoint = subject.checkpoint
    if not subject.resume or checkpoint is None or not checkpoint.readable:
        return None
    text = checkpoint.meta.get('cfg')
    settings = parse_config(text, strict=False) if isinstance(text, str) else {}
    if 'optim_wrapper' not in settings:
        return None
    return schedule_of_config(settings)


def _plain(node: Any) -> Any:
    """Dicts and lists without their classes, so that a config equals what was read of its text."""
    if isinstance(node, dict):
        return {key: _plain(value) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return [_plain(item) for item in node]
    return node
