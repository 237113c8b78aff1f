"""The schedule of the learning rate against the length of the run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..config_tree import join, type_name
from .problem import Problem
from .subject import Subject

#: mmengine's 'no end'.
_NO_END = 10 ** 9
#: Schedulers that end near 0, by the setting of their length.
_ANNEALING = {'OneCycleLR': 'total_steps', 'OneCycleFromLR': 'total_steps',
              'CosineAnnealingLR': 'T_max'}
#: Schedulers that lead up to the learning rate.
_WARMUPS = ('LinearLR', 'ConstantLR')


def run_length(subject: Subject) -> tuple[int | None, int | None]:
    """Epochs and iterations of the training run, each None where not known."""
    loop, loader = subject.cfg.get('train_cfg') or {}, subject.loader('train')
    if loop.get('max_iters'):
        return None, loop['max_iters']
    epochs = loop.get('max_epochs')
    batches = loader.batches() if loader else None
    return epochs, epochs * batches if epochs and batches else None


def schedulers(subject: Subject) -> list[tuple[str, Mapping[str, Any]]]:
    """The schedulers of the learning rate with their dotted keys."""
    node = subject.cfg.get('param_scheduler')
    many = isinstance(node, (list, tuple))
    found = [(join('param_scheduler', i) if many else 'param_scheduler', item)
             for i, item in enumerate(node if many else [node])]
    return [(key, item) for key, item in found if isinstance(item, Mapping)
            and ('LR' in type_name(item.get('type')) or item.get('param_name') == 'lr')]


def check_schedule(subject: Subject) -> Iterator[Problem]:
    """The schedule is as long as the run."""
    if subject.task != 'train':
        return
    epochs, iters = run_length(subject)
    found = schedulers(subject)
    for by_epoch, length, unit, name in ((True, epochs, 'epochs', 'max_epochs'),
                                         (False, iters, 'iterations', 'max_iters')):
        chosen = [(key, item) for key, item in found if item.get('by_epoch', True) == by_epoch]
        if chosen and length:
            yield from _too_short(chosen, length, unit, name, alone=len(chosen) == len(found))
            yield from _too_long(chosen, length, unit, name)


def scheduler_end(item: Mapping[str, Any]) -> tuple[str, int] | None:
    """The setting that ends a scheduler, and the step at which it does; None if nothing does."""
    begin = item.get('begin', 0)
    length = _ANNEALING.get(type_name(item.get('type')))
    if length and item.get(length):
        return length, begin + item[length]
    if item.get('end') and item['end'] < _NO_END:
        return 'end', item['end']
    return None


def _too_short(chosen: list[tuple[str, Mapping[str, Any]]], length: int, unit: str, name: str,
               alone: bool) -> Iterator[Problem]:
    """The last scheduler ends before the run does."""
    ends = [(end[1], key, end[0], item) for key, item in chosen if (end := scheduler_end(item))]
    if len(ends) < len(chosen) or not alone:
        return  # one of them goes on to the end, or another unit's may
    end, key, setting, item = max(ends, key=lambda entry: entry[0])
    if end >= length:
        return
    annealed = type_name(item.get('type')) in _ANNEALING
    what = (f'the schedule ends after {end} {unit}, the run after {length} (train_cfg.{name}): '
            + ('nothing is learned in the rest, the rate being next to 0' if annealed else
               'the rate stays as it is then'))
    yield Problem(what, join(key, setting), item[setting],
                  str(length - item.get('begin', 0) if setting != 'end' else length),
                  'error' if annealed else 'note')


def _too_long(chosen: list[tuple[str, Mapping[str, Any]]], length: int, unit: str,
              name: str) -> Iterator[Problem]:
    """What a scheduler has for after the end of the run.

    ASL's recipe lays out one cycle for 80 epochs by ``end`` and stops it at 40: a cycle with an
    ``end`` up to twice the run is taken to be meant.
    """
    for key, item in chosen:
        kind = type_name(item.get('type'))
        begin = item.get('begin', 0)
        unreached = [step for step in item.get('milestones') or () if step >= length]
        if begin >= length:
            yield Problem(f'begins after the end of the run (train_cfg.{name}={length})',
                          join(key, 'begin'), begin, f'less than {length}', 'note')
        elif unreached:
            yield Problem(f'{unreached} are not reached, the run ends after {length} {unit} '
                          f'(train_cfg.{name})', join(key, 'milestones'), item['milestones'],
                          f'steps before {length}', 'note')
        elif kind in _WARMUPS and begin == 0 and (end := item.get('end', 0)) > length:
            yield Problem(f'the warm-up ends after {end} {unit}, the run after {length} '
                          f'(train_cfg.{name})', join(key, 'end'), end, f'less than {length}',
                          'note')
        elif kind in _ANNEALING and (end := scheduler_end(item)) and end[1] > length and not (
                'OneCycle' in kind and end[0] == 'end' and end[1] <= 2 * length):
            yield Problem(
                f'the schedule ends after {end[1]} {unit}, the run after {length} '
                f'(train_cfg.{name}): the rate does not come down to its end', join(key, end[0]),
                item[end[0]], str(length - begin if end[0] != 'end' else length), 'note')
