"""Number and names of classes: heads, datasets, metrics and checkpoint against each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmdet.datasets import CocoDataset

from ..config_tree import join
from ..datasets import CheckedCocoDataset
from .dataset_facts import DatasetFacts, dataset_class
from .problem import Problem, listed
from .subject import Subject


def check_datasets(subject: Subject) -> Iterator[Problem]:
    """Every dataset can be read, and `metainfo.classes` is a list of names, each once."""
    for dataset in subject.datasets:
        yield from dataset.problems


def check_categories(subject: Subject) -> Iterator[Problem]:
    """The classes of a dataset are categories of its annotation file."""
    for dataset in subject.datasets:
        if dataset.coco is None or not dataset.classes:
            continue
        names = dataset.coco.names
        missing = [name for name in dataset.classes if name not in names]
        if missing:
            own = 'metainfo' in dataset.cfg and dataset.cfg['metainfo'].get('classes')
            source = '' if own else f', the classes that {dataset.type} has by itself'
            yield Problem(
                f'{listed(missing)}: no such category in {dataset.coco.path}{source}',
                dataset.where('metainfo.classes'), dataset.classes,
                f'names among its {len(names)} categories ({listed(names)})')
        elif _numbered_by_file(dataset) and _file_order(dataset) != dataset.classes:
            yield Problem(
                f'{dataset.type} numbers labels in the order of {dataset.coco.path} '
                f'({listed(_file_order(dataset))}) and names them in that of metainfo',
                dataset.where('type'), dataset.type, 'CheckedCocoDataset')


def check_classes_of_splits(subject: Subject) -> Iterator[Problem]:
    """All datasets of a run have the same classes in the same order."""
    known = [dataset for dataset in subject.datasets if dataset.classes]
    for other in known[1:]:
        first = known[0]
        if other.classes == first.classes:
            continue
        order = ' in another order' if sorted(other.classes) == sorted(first.classes) else ''
        yield Problem(
            f'{len(other.classes)} classes ({listed(other.classes)}), and {first.key} has '
            f'{len(first.classes)}{order} ({listed(first.classes)})',
            other.where('metainfo.classes'), None, f'metainfo=dict(classes={first.classes!r:.200})')


def check_heads(subject: Subject) -> Iterator[Problem]:
    """Every head, in lists of RoI heads too, has as many classes as the dataset."""
    dataset = next((dataset for dataset in subject.datasets if dataset.classes), None)
    if dataset is None:
        return
    number = len(_things(dataset))
    for head in subject.heads:
        if head.num_classes != number:
            yield Problem(
                f'{dataset.key} has {number} classes ({listed(_things(dataset))})',
                head.key, head.num_classes, str(number))


def check_metric_thresholds(subject: Subject) -> Iterator[Problem]:
    """Thresholds given one by one, in a metric or a head, are as many as the classes."""
    split = subject.splits[-1]
    loader = subject.loader(split)
    classes = loader.classes if loader else None
    places = [*subject.metrics(split),
              *((head.key.rpartition('.')[0], _part(subject.cfg, head.key)) for head in
                subject.heads if head.image_level)]
    for key, part in places:
        if part.get('field'):  # of a named image head, with classes of its own
            continue
        thresholds = part.get('thresholds')
        if classes and isinstance(thresholds, (list, tuple)) and len(thresholds) != len(classes):
            yield Problem(f'{len(thresholds)} thresholds for {len(classes)} classes',
                          join(key, 'thresholds'), thresholds,
                          'a number, or one for each class')


def check_checkpoint_classes(subject: Subject) -> Iterator[Problem]:
    """The classes that a checkpoint was trained on are the dataset's, in the same order."""
    checkpoint = subject.checkpoint
    if checkpoint is None or not checkpoint.readable or not checkpoint.classes:
        return
    dataset = next((dataset for dataset in subject.datasets if dataset.classes), None)
    if dataset is None or dataset.classes == checkpoint.classes:
        return
    given, own = checkpoint.classes, dataset.classes
    if subject.task == 'train' and not subject.resume:
        if len(given) == len(own):
            yield Problem(
                f'its head is for {listed(given)}, and {dataset.key} has {listed(own)}: it is '
                'loaded all the same', checkpoint.key, checkpoint.source,
                "init_cfg=dict(type='Pretrained', ...) of the backbone to start from that alone",
                'note')
        return
    order = ' in another order' if sorted(given) == sorted(own) else ''
    yield Problem(
        f'trained on {len(given)} classes ({listed(given)}), and {dataset.key} has {len(own)}'
        f'{order} ({listed(own)})', checkpoint.key, checkpoint.source,
        f'{dataset.key}.metainfo.classes and the data of the checkpoint, or its own checkpoint')


def _things(dataset: DatasetFacts) -> Sequence[str]:
    """The classes with objects: of a panoptic dataset its things."""
    metainfo = dataset.cfg.get('metainfo') or {}
    kind = dataset_class(dataset.cfg)
    things = metainfo.get('thing_classes') or getattr(kind, 'METAINFO', {}).get('thing_classes')
    return things if things and 'classes' not in metainfo else dataset.classes


def _numbered_by_file(dataset: DatasetFacts) -> bool:
    """Whether labels follow the file's order of categories, as mmdet's own dataset has it."""
    kind = dataset_class(dataset.cfg)
    return issubclass(kind, CocoDataset) and not issubclass(kind, CheckedCocoDataset)


def _file_order(dataset: DatasetFacts) -> tuple[str, ...]:
    return tuple(name for name in dataset.coco.names if name in dataset.classes)


def _part(cfg: Any, key: str) -> Mapping[str, Any]:
    """The dict that holds the setting ``key``."""
    for step in key.split('.')[:-1]:
        cfg = cfg[int(step) if step.isdigit() else step]
    return cfg
