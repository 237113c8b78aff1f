"""Named image heads against the class lists, the label tables and the metrics of their names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..config_tree import join, named_heads, type_name
from .dataset_facts import DatasetFacts
from .model_facts import model_class
from .problem import Problem, listed
from .subject import Subject

_METRIC = {True: 'SingleLabelMetric', False: 'MultiLabelMetric'}


def check_image_heads(subject: Subject) -> Iterator[Problem]:
    """Every named image head has labels to learn from, and a class list of its length."""
    heads = named_heads(subject.model)
    classes: dict[str, tuple[DatasetFacts, Sequence[str]]] = {}
    for dataset in subject.datasets:
        for kind, names in image_classes(dataset).items():
            first, known = classes.setdefault(kind, (dataset, names))
            if list(names) != list(known):
                yield Problem(f'{listed(names)}, and {first.key} has {listed(known)}',
                              dataset.where('metainfo.image_classes', kind), None,
                              'the same class list for all data sets')
    for name, head in heads.items():
        where = join('model.image_heads', name)
        if name not in classes:
            yield Problem(f'no data set has a class list of {name!r}', where, None,
                          f'metainfo=dict(image_classes=dict({name}=(...)))')
            continue
        dataset, names = classes[name]
        if head.get('num_classes') != len(names):
            yield Problem(f'{dataset.key} has {len(names)} classes of {name!r} ({listed(names)})',
                          join(where, 'num_classes'), head.get('num_classes'), str(len(names)))
        train = subject.loader('train') if subject.task == 'train' else None
        if train and not any(name in (dataset.cfg.get('image_labels') or {})
                             for dataset in train.datasets):
            yield Problem(f'no training data set has labels of {name!r}', where, None,
                          f'image_labels=dict({name}=FILE) of a data set')


def check_single_labels(subject: Subject) -> Iterator[Problem]:
    """Where a named head is a `SingleLabelHead`, its images have one label each."""
    for name, head in named_heads(subject.model).items():
        if not _is_single(head):
            continue
        for dataset in subject.datasets:
            wrong = [path for path, labels in dataset.image_labels.items()
                     if name in labels and (len(labels[name][0]) != 1 or labels[name][1])]
            if wrong:
                yield Problem(
                    f'{len(wrong)} images have not exactly one label, and {name!r} is a '
                    f'SingleLabelHead: {listed(wrong, 3)}', dataset.where('image_labels', name),
                    dataset.cfg['image_labels'][name],
                    'one label an image, or MultiLabelLinearHead for any number')


def check_fields(subject: Subject) -> Iterator[Problem]:
    """A metric's field is a named image head, and of the metric's kind."""
    heads = named_heads(subject.model)
    if not heads:
        return
    for key, metric in subject.metrics(subject.splits[-1]):
        kind, field = type_name(metric.get('type')), metric.get('field')
        if kind not in _METRIC.values():
            continue
        if field is None:
            if not subject.model.get('image_head'):
                yield Problem('measures the labels of an image_head, and the model has named heads '
                              'alone', join(key, 'field'), None, f'one of {listed(list(heads))}')
        elif field not in heads:
            yield Problem('no image head of this name', join(key, 'field'), field,
                          f'one of {listed(list(heads))}')
        elif kind != _METRIC[_is_single(heads[field])]:
            yield Problem(f'does not measure what {type_name(heads[field]["type"])} predicts',
                          join(key, 'type'), kind, _METRIC[_is_single(heads[field])])


def image_classes(dataset: DatasetFacts) -> Mapping[str, Sequence[str]]:
    """The class lists of a data set's own labels, by kind."""
    classes = (dataset.cfg.get('metainfo') or {}).get('image_classes')
    return classes if isinstance(classes, Mapping) else {}


def _is_single(head: Mapping[str, Any]) -> bool:
    kind = model_class(head)
    return kind is not None and 'SingleLabelHead' in {base.__name__ for base in kind.__mro__}
