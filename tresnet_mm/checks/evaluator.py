"""The annotation file that a metric evaluates against, held against the datasets it is fed from."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from mmdet.evaluation import CocoMetric

from ..config_tree import join, type_name
from ..datasets.annotations import is_local
from .coco_facts import CocoFacts
from .loader_facts import LoaderFacts
from .problem import Problem, listed
from .subject import Subject


def check_evaluator_file(subject: Subject) -> Iterator[Problem]:
    """A metric's annotation file holds the images, objects and classes of its datasets."""
    loader, metrics = subject.loader(subject.splits[-1]), subject.metrics(subject.splits[-1])
    if loader is None:
        return
    for key, metric in metrics:
        if 'Coco' not in type_name(metric.get('type')):
            continue
        collision = _collision(loader)
        if collision:
            yield Problem(collision, join(loader.key, 'dataset'), None,
                          f'one dataset, or files whose image ids differ and {key}.ann_file that '
                          'holds them all')
            continue
        path = metric.get('ann_file')
        if path is None:
            continue
        if not is_local(path, metric.get('backend_args')):
            yield Problem('a remote annotation file is not read before the run',
                          join(key, 'ann_file'), path, severity='not made')
            continue
        yield from _compare(subject, loader, join(key, 'ann_file'), path)
        yield from _numbering(subject, loader, key, metric)


def _collision(loader: LoaderFacts) -> str:
    """What is wrong where several datasets are evaluated as one; empty if nothing is."""
    parts = [dataset for dataset in loader.datasets if dataset.coco is not None]
    for i, first in enumerate(parts):
        for second in parts[i + 1:]:
            both = first.ids & second.ids
            if both and first.coco.path != second.coco.path:
                return (f'{first.coco.path} and {second.coco.path} are evaluated as one, and '
                        f'{len(both)} image ids stand in both ({listed(sorted(both, key=str), 3)})')
            if both:
                return f'{first.coco.path} is evaluated twice'
    single = sum(dataset.size or 0 for dataset in loader.datasets)
    if loader.size and single and loader.size > single:
        return f'{single} images are evaluated {loader.size / single:g} times'
    return ''


def _compare(subject: Subject, loader: LoaderFacts, where: str, path: str) -> Iterator[Problem]:
    if not os.path.exists(path):
        yield Problem(f'annotation file {path} does not exist', where, path,
                      f'the file of {loader.key}.dataset: '
                      f'{listed([dataset.ann_file for dataset in loader.datasets], 3)}')
        return
    files = [dataset.coco for dataset in loader.datasets if dataset.coco is not None]
    if len(files) != len(loader.datasets):
        return  # a dataset that could not be read, or of another form: told elsewhere
    names = listed([dataset.ann_file for dataset in loader.datasets], 3)
    right = f'the file of {loader.key}.dataset: {names}'
    try:
        own = subject.reader.coco(path)
    except (FileNotFoundError, ValueError) as error:
        yield Problem(str(error), where, path, right)
        return
    ids = set().union(*(dataset.ids for dataset in loader.datasets))
    strangers, unseen = ids - set(own.image_of), set(own.image_of) - ids
    if strangers:
        yield Problem(f'lacks {len(strangers)} of the {len(ids)} images of {names} '
                      f'(ids {listed(sorted(strangers, key=str), 3)})', where, path, right)
        return
    same_file = all(_same(path, file.path) for file in files)
    partly = any(dataset.cfg.get('indices') is not None for dataset in loader.datasets)
    if unseen or partly:
        count = len(unseen) or 'some'
        yield Problem(
            f'{count} of its {len(own.image_of)} images are not in {loader.key}, and every object '
            'on them counts as missed', where, path,
            'a file of just these images' if same_file else right,
            'error' if unseen else 'note')
    elif not same_file and (difference := _difference(own, files)):
        yield Problem(f'is another file than that of {loader.key} ({names}): {difference}',
                      where, path, right)
    classes = loader.classes or ()
    missing = [name for name in classes if name not in own.names]
    if missing and not same_file:
        yield Problem(f'lacks the classes {listed(missing)} of {loader.key}', where, path, right)


def _numbering(subject: Subject, loader: LoaderFacts, key: str,
               metric: Mapping[str, Any]) -> Iterator[Problem]:
    """The metric of mmdet itself, given as a class, takes labels for places in the file's order."""
    if metric['type'] is not CocoMetric or not os.path.exists(metric['ann_file']):
        return
    try:
        names = subject.reader.coco(metric['ann_file']).names
    except ValueError:  # told already
        return
    order = tuple(name for name in names if name in (loader.classes or ()))
    if sorted(order) == sorted(loader.classes or ()) and order != loader.classes:
        yield Problem(f'takes labels in the order of its file ({listed(order)}), and '
                      f'{loader.key} has that of metainfo ({listed(loader.classes)})',
                      join(key, 'type'), 'CocoMetric', 'CheckedCocoMetric')


def _difference(own: CocoFacts, files: list[CocoFacts]) -> str:
    """How a file differs from others of the same image ids; empty if it does not."""
    for file in files:
        for key, image in file.image_of.items():
            other = own.image_of[key]
            if other['file_name'] != image['file_name']:
                return (f'image {key!r} is {other["file_name"]!r} there and '
                        f'{image["file_name"]!r} here')
    given = [file for file in files if file.file.annotations]
    if not given:
        return ''
    boxes: Counter[tuple[Any, ...]] = sum((file.boxes() for file in given), Counter())
    differing = (own.boxes() - boxes) + (boxes - own.boxes())
    if differing:
        return f'{sum(differing.values())} objects stand in one of them alone'
    return ''


def _same(first: str, second: str) -> bool:
    return os.path.realpath(first) == os.path.realpath(second)
