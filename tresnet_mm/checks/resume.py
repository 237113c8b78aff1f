"""A run that is resumed: the checkpoint's state against the config's."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

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
    settings = read_settings(text) if isinstance(text, str) else {}
    if 'optim_wrapper' not in settings:
        return None
    return schedule_of_config(settings)


def read_settings(text: str) -> dict[str, Any]:
    r"""The settings of a config as mmengine prints it, read without running it.

    Literals and ``dict(...)`` are read; a setting that holds anything else is left out, since the
    text comes out of a file that may be a stranger's.

    Examples:
        >>> read_settings("train_cfg = dict(max_epochs=3)\nx = open('file')")
        {'train_cfg': {'max_epochs': 3}}
    """
    settings = {}
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    for node in body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            try:
                settings[node.targets[0].id] = _value(node.value)
            except (ValueError, AttributeError, TypeError, RecursionError):
                continue
    return settings


def _value(node: ast.AST) -> Any:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict':
        parts = [{keyword.arg: _value(keyword.value)} if keyword.arg else _value(keyword.value)
                 for keyword in node.keywords]
        return {key: value for part in [*map(_value, node.args), *parts]
                for key, value in part.items()}
    if isinstance(node, ast.Dict) and None not in node.keys:
        return {_value(key): _value(value)
                for key, value in zip(node.keys, node.values, strict=True)}
    if isinstance(node, ast.List):
        return [_value(item) for item in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple(_value(item) for item in node.elts)
    return ast.literal_eval(node)


def _plain(node: Any) -> Any:
    """Dicts and lists without their classes, so that a config equals what was read of its text."""
    if isinstance(node, dict):
        return {key: _plain(value) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return [_plain(item) for item in node]
    return node
