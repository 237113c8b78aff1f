"""What a base config left behind that is not meant for this model or this data."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..config_tree import join, parts
from .model_facts import backbones, is_tresnet, model_class
from .problem import Problem, listed
from .subject import Subject

#: What the names of a ResNet's checkpoints have in common, its own and its detectors'.
_OF_RESNET = re.compile(r'(^|[^a-z0-9])(resnet|resnext|r|x)[-_]?(18|34|50|101|152)([^0-9]|$)', re.I)
#: Settings that a registry takes, not the module.
_OF_REGISTRY = {'type', '_scope_', '_delete_'}


def check_keywords(subject: Subject) -> Iterator[Problem]:
    """Backbone, neck and losses know their settings: `_delete_=True` was not forgotten."""
    for key, part in parts(subject.model, 'model'):
        last = key.removesuffix('.0').rpartition('.')[2]
        kind = model_class(part) if last.startswith(('backbone', 'neck', 'loss')) else None
        if kind is None or 'teacher' in key or (
                last.startswith('loss') and not kind.__module__.startswith('tresnet_mm')):
            continue  # a head may take settings out of a loss that it knows
        known = accepted(kind)
        unknown = [] if known is None else sorted(set(part) - _OF_REGISTRY - known)
        if unknown:
            yield Problem(
                f'{kind.__name__} has no {listed(unknown)}: settings of what it replaces',
                join(key, unknown[0]), part[unknown[0]],
                f'_delete_=True in the {last} of the config that sets its type')


def check_input(subject: Subject) -> Iterator[Problem]:
    """The data preprocessor gives a TResNet what its weights expect: RGB in [0, 1]."""
    found = [backbone for _, backbone, _ in backbones(subject.model) if is_tresnet(backbone)]
    if not found:
        return
    pretrained = any(isinstance(b.get('init_cfg'), Mapping) and b['init_cfg'].get('checkpoint')
                     for b in found)
    severity = 'error' if pretrained and subject.task == 'train' else 'note'
    for key, part in parts(subject.model, 'model'):
        if not key.endswith('data_preprocessor') or 'mean' not in part:
            continue
        for name, right in (('mean', 0), ('std', 255)):
            given = part.get(name)
            values = given if isinstance(given, (list, tuple)) else [given]
            if any(value != right for value in values):
                yield Problem('of a ResNet or another model; a TResNet and its published weights '
                              'take RGB in [0, 1]', join(key, name), given, str([right] * 3),
                              severity)
        if not part.get('bgr_to_rgb'):
            yield Problem("OpenCV's and mmcv's images are BGR, and a TResNet and its published "
                          'weights take RGB', join(key, 'bgr_to_rgb'),
                          part.get('bgr_to_rgb', False), 'True', severity)


def check_pretrained(subject: Subject) -> Iterator[Problem]:
    """The weights to start from are not those of a ResNet that the TResNet replaced."""
    for key, backbone, _ in backbones(subject.model):
        if not is_tresnet(backbone):
            continue
        init = backbone.get('init_cfg')
        source = init.get('checkpoint') if isinstance(init, Mapping) else None
        if isinstance(source, str) and _of_resnet(source):
            yield Problem('weights of a ResNet for a TResNet', join(key, 'init_cfg.checkpoint'),
                          source, f'tresnet:// weights of arch {backbone.get("arch", "m")!r}')
        load_from = subject.cfg.get('load_from')
        if subject.task == 'train' and isinstance(load_from, str) and _of_resnet(load_from):
            yield Problem('weights of a model with a ResNet, and this one has a TResNet',
                          'load_from', load_from, 'None')


def check_frozen(subject: Subject) -> Iterator[Problem]:
    """Something is left to learn, and what is frozen does not stand at its random start."""
    if subject.task != 'train':
        return
    wrapper = subject.cfg.get('optim_wrapper') or {}
    rate = (wrapper.get('optimizer') or {}).get('lr')
    if rate == 0:
        yield Problem('nothing is learned at this learning rate', 'optim_wrapper.optimizer.lr',
                      '0', 'a positive number')
    if not isinstance(subject.built, Exception):
        model = subject.built
        model.train()
        if not any(parameter.requires_grad for parameter in model.parameters()):
            yield Problem('every parameter of the model is frozen: nothing would be learned',
                          'model', None, 'frozen_stages, train_detector or the like at less')
    for key, backbone, _ in backbones(subject.model):
        frozen = backbone.get('frozen_stages', -1)
        if is_tresnet(backbone) and isinstance(frozen, int) and frozen >= 0 and not (
                backbone.get('init_cfg') or subject.checkpoint):
            yield Problem('the frozen stages keep their random start: there is neither init_cfg '
                          'nor load_from', join(key, 'frozen_stages'), frozen,
                          '-1, or weights to start from', 'note')


def check_test_loader(subject: Subject) -> Iterator[Problem]:
    """In training, a test loader left on a base's data is told before the test (a note)."""
    if subject.task != 'train' or not isinstance(subject.cfg.get('test_dataloader'), Mapping):
        return
    reference = next((d for d in subject.datasets if d.classes), None)
    if reference is None or subject.cfg['test_dataloader'] == subject.cfg.get('val_dataloader'):
        return
    for dataset in subject.loader('test').datasets:
        if dataset.classes and dataset.classes != reference.classes:
            yield Problem(
                f'{len(dataset.classes)} classes ({listed(dataset.classes)}), and {reference.key} '
                f'has {len(reference.classes)} ({listed(reference.classes)}): left from a base '
                'config?', dataset.key, dataset.ann_file,
                'test_dataloader = val_dataloader, test_evaluator = val_evaluator', 'note')


def accepted(kind: type) -> set[str] | None:
    """The keywords that a class takes, with those that it hands on to its bases.

    None where it takes any: a ``**kwargs`` that no base gives names to.
    """
    names: set[str] = set()
    for base in kind.__mro__:
        if '__init__' not in vars(base):
            continue
        parameters = inspect.signature(base.__init__).parameters.values()
        names |= {p.name for p in parameters}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            return names
    return None


def _of_resnet(source: Any) -> bool:
    return 'tresnet' not in source and bool(_OF_RESNET.search(source))
