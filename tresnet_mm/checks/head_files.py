"""Files with a number for each class, as image-level heads and their losses take them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..class_values import read_class_values
from ..config_tree import image_head, join, named_heads, parts
from .image_heads import image_classes
from .problem import Problem, listed
from .subject import Subject

#: Key in a config -> what the values are called in the file.
_NAMES = {'thresholds': 'thresholds', 'class_priors': 'priors'}


def check_head_files(subject: Subject) -> Iterator[Problem]:
    """A file of thresholds or priors that a head is given names its classes, in their order."""
    for where, head, classes in _heads(subject):
        for key, part in parts(head, where):
            for setting, name in _NAMES.items():
                path = part.get(setting)
                if not isinstance(path, (str, Path)):
                    continue
                try:
                    names, _ = read_class_values(path, name)
                except (FileNotFoundError, ValueError) as error:
                    yield Problem(str(error), join(key, setting), str(path),
                                  'a file of tresnet-mm thresholds or class-priors')
                    continue
                if difference := first_difference(names, classes):
                    yield Problem(f'{difference}: the numbers are taken in the order of the '
                                  'classes', join(key, setting), str(path),
                                  f'a file for {listed(classes)}')


def first_difference(names: Sequence[str], classes: Sequence[str]) -> str:
    """Where the names in a file first differ from the classes, in words; '' where nowhere."""
    for place, (name, wanted) in enumerate(zip(names, classes, strict=False)):
        if name != wanted:
            return f'class {place} is {name!r} in the file and {wanted!r} in the data'
    if len(names) != len(classes):
        return f'the file names {len(names)} classes, the data {len(classes)}'
    return ''


def _heads(subject: Subject) -> Iterator[tuple[str, Mapping[str, Any], Sequence[str]]]:
    """The image-level heads whose classes are known: dotted key, config, class names."""
    datasets = subject.datasets
    classes = next((dataset.classes for dataset in datasets if dataset.classes), None)
    head = image_head(subject.model)
    if isinstance(head, Mapping) and classes:
        yield ('model.image_head' if 'detector' in subject.model else 'model.head'), head, classes
    for name, head in named_heads(subject.model).items():
        found = next((known[name] for dataset in datasets
                      if name in (known := image_classes(dataset))), None)
        if found:
            yield f'model.image_heads.{name}', head, list(found)
