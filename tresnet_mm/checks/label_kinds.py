"""One label an image, or several: the head, its metrics and the packing of its data agree."""

from __future__ import annotations

from collections.abc import Iterator

from ..config_tree import join, type_name
from .model_facts import model_class
from .problem import Problem
from .subject import Subject

_PACKING = {True: 'PackSingleLabelInputs', False: 'PackMultiLabelInputs'}
_METRIC = {True: 'SingleLabelMetric', False: 'MultiLabelMetric'}


def check_label_kinds(subject: Subject) -> Iterator[Problem]:
    """A head of one label an image, or of several, meets metrics and data of its own kind."""
    head = subject.model.get('head')
    kind = None if not isinstance(head, dict) else model_class(head)
    names = set() if kind is None else {base.__name__ for base in kind.__mro__}
    if 'MultiLabelHead' not in names:
        return
    single, name = 'SingleLabelHead' in names, type_name(head['type'])
    for key, metric in subject.metrics(subject.splits[-1]):
        if type_name(metric.get('type')) == _METRIC[not single]:
            yield Problem(f'does not measure what {name} predicts', join(key, 'type'),
                          _METRIC[not single], _METRIC[single])
    for dataset in subject.datasets:
        for i, step in enumerate(dataset.cfg.get('pipeline') or ()):
            if type_name(step.get('type')) == _PACKING[not single]:
                yield Problem(f'does not pack the labels that {name} learns from',
                              dataset.where(f'pipeline.{i}.type'), _PACKING[not single],
                              _PACKING[single])
