"""What is known of each dataset of a config before it is built for a run."""

from __future__ import annotations

import inspect
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from mmdet.datasets import CocoDataset
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.fileio import list_from_file

from ..config_tree import dataset_parts, join, other_folder, type_name
from ..datasets import CocoMultiLabel
from ..datasets.annotations import count_objects, is_local
from ..datasets.image_labels import NamedLabels
from ..datasets.joint_dataset import JointDataset
from .coco_facts import CocoFacts
from .file_listing import evenly, listed_files, loads_local_files
from .problem import Problem


@dataclass
class DatasetFacts:
    """One innermost dataset of a loader.

    Attributes:
        key: Its dotted key in the config.
        cfg: Its config.
        type: Name of its class.
        ann_file: Its annotation file as it is opened, or None.
        classes: Names of its labels, in their order; None where that is not known.
        size: How many images it gives; None where that is not known.
        ids: Ids of these images, where the file has any.
        objects: Objects to learn (or image labels) of each class.
        crowds: Objects that are regions to ignore.
        left_out: Annotations that are left out, by reason.
        coco: The content of its annotation file, if that is COCO's.
        image_labels: By path, the labels of images that have any of their own, by kind.
        image_files: The image files, of a large data set as many as `MOST_FILES`, evenly chosen;
            none where they are not files of this machine, or not known.
        problems: What is wrong with it in itself.
    """

    key: str
    cfg: Mapping[str, Any]
    type: str
    ann_file: str | None = None
    classes: tuple[str, ...] | None = None
    size: int | None = None
    ids: set[Any] = field(default_factory=set)
    objects: Counter[str] = field(default_factory=Counter)
    crowds: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    coco: CocoFacts | None = None
    image_labels: dict[str, NamedLabels] = field(default_factory=dict)
    image_files: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def where(self, *names: str) -> str:
        """The dotted key of one of its settings."""
        return join(self.key, *names)


class DatasetReader:
    """Finds out about the datasets of a config; reads every annotation file once."""

    def __init__(self, cfg: Config, keep: bool = False) -> None:
        self._cfg = cfg
        self._keep = keep
        self._files: dict[str, CocoFacts | Exception] = {}

    def coco(self, path: str, keep: bool = False) -> CocoFacts:
        """The content of a COCO file; arguments and errors are those of `CocoFacts`."""
        key = os.path.realpath(path)
        if key not in self._files:
            try:
                self._files[key] = CocoFacts(path, keep)
            except (FileNotFoundError, ValueError) as error:
                self._files[key] = error
        if isinstance(self._files[key], Exception):
            raise self._files[key]
        return self._files[key]

    def facts(self, loader: Mapping[str, Any], key: str) -> list[DatasetFacts]:
        """The innermost datasets of a loader's config, whose dotted key is ``key``."""
        return [self._read(part, where)
                for where, part in dataset_parts(loader.get('dataset'), join(key, 'dataset'))]

    def _read(self, cfg: Mapping[str, Any], key: str) -> DatasetFacts:
        facts = DatasetFacts(key, cfg, type_name(cfg.get('type')))
        facts.problems.extend(_classes_problems(cfg, key))
        if facts.problems:
            return facts
        kind = dataset_class(cfg)
        if kind is None:
            facts.problems.append(Problem(
                'no dataset of this name is registered', facts.where('type'), facts.type,
                'a name of the registry DATASETS, and its module in custom_imports'))
            return facts
        if problem := _joint_problem(cfg, key, kind):
            facts.problems.append(problem)
            return facts
        facts.ann_file = ann_file(cfg)
        facts.classes = _config_classes(cfg) or _default_classes(kind)
        if facts.ann_file and not is_local(facts.ann_file, cfg.get('backend_args')):
            facts.problems.append(Problem(
                'a remote annotation file is not read before the run', facts.where('ann_file'),
                facts.ann_file, severity='not made'))
        elif facts.ann_file and not os.path.exists(facts.ann_file):
            facts.problems.append(Problem(
                f'annotation file {facts.ann_file} of {key.partition(".")[0]} does not exist: '
                f'{other_folder(self._cfg, key, cfg)}', facts.where('ann_file'), cfg['ann_file'],
                'a file that is there'))
        elif facts.ann_file and reads_coco(kind):
            self._read_coco(facts, kind)
            joint = cfg.get('image_labels') or cfg.get('boxes', True) is not True
            if joint and not facts.problems:
                facts.objects, facts.ids = Counter(), set()
                if cfg.get('boxes') is False:  # whatever boxes the file has are not read
                    facts.crowds = 0
                    facts.left_out.clear()
                _build(facts, kind)
        else:
            _build(facts, kind)
        return facts

    def _read_coco(self, facts: DatasetFacts, kind: type) -> None:
        try:
            # What mmdet's way of reading would not take over would stay in memory.
            taken_over = kind.load_data_list is not CocoDataset.load_data_list
            coco = self.coco(facts.ann_file, self._keep and taken_over)
            if not issubclass(kind, CocoMultiLabel):
                coco.file.require_boxes()
        except (FileNotFoundError, ValueError) as error:
            facts.problems.append(Problem(
                str(error), facts.where('ann_file'), facts.cfg['ann_file'],
                'a COCO annotation file'))
            return
        facts.coco = coco
        if facts.classes is None:
            facts.classes = coco.names
        images = coco.image_of
        with_label = coco.images_of(facts.classes)
        if issubclass(kind, CocoMultiLabel):
            keep = set(images) if facts.cfg.get('keep_empty') else with_label
        else:
            keep = _kept_by_filter(facts.cfg, images, with_label)
        facts.ids = keep & set(images)
        facts.size = _subset(len(facts.ids), facts.cfg.get('indices'))
        facts.image_files = listed_files(facts.cfg, [images[i] for i in images if i in facts.ids])
        if not set(facts.classes) <= set(coco.names):
            return  # told by a check of its own
        if issubclass(kind, CocoMultiLabel):
            counts = coco.file.objects_per_class()
            facts.objects = Counter({name: counts[name] for name in facts.classes})
        else:
            facts.objects, facts.crowds, facts.left_out = count_objects(coco.file, facts.classes)


def reads_coco(kind: type) -> bool:
    """Whether a dataset reads a COCO instance file in mmdet's way or this package's.

    Others that only derive from mmdet's (panoptic data, LVIS) have a format of their own.
    """
    own = __package__.partition('.')[0]
    return issubclass(kind, (CocoDataset, CocoMultiLabel)) and (
        kind.load_data_list is CocoDataset.load_data_list
        or kind.load_data_list.__module__.startswith(f'{own}.'))


def ann_file(cfg: Mapping[str, Any]) -> str | None:
    """The annotation file that a dataset's config names, below its ``data_root``."""
    name = cfg.get('ann_file')
    if not isinstance(name, str) or not name:
        return None
    return name if '://' in name else os.path.join(cfg.get('data_root') or '', name)


def _kept_by_filter(cfg: Mapping[str, Any], images: Mapping[Any, Mapping[str, Any]],
                    with_label: set[Any]) -> set[Any]:
    """Ids of the images that mmdet's ``filter_cfg`` leaves."""
    settings = cfg.get('filter_cfg')
    if cfg.get('test_mode') or settings is None:
        return set(images)
    smallest = settings.get('min_size', 0)
    return {key for key, image in images.items()
            if (key in with_label or not settings.get('filter_empty_gt'))
            and min(image.get('width') or 0, image.get('height') or 0) >= smallest}


def _subset(size: int, indices: Any) -> int:
    """How many of ``size`` images mmengine's ``indices`` leaves."""
    if isinstance(indices, int):
        return min(size, abs(indices))
    return size if indices is None else len(indices)


def dataset_class(cfg: Mapping[str, Any]) -> type | None:
    """The class that a dataset is built from; None where no registry knows it."""
    kind = cfg.get('type')
    kind = DATASETS.get(kind) if isinstance(kind, str) else kind
    return kind if inspect.isclass(kind) else None


def _config_classes(cfg: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The classes that a config gives, as names or as the file that holds them."""
    classes = (cfg.get('metainfo') or {}).get('classes')
    if classes is None:
        return None
    return tuple(list_from_file(classes) if isinstance(classes, str) else classes)


def _default_classes(kind: type) -> tuple[str, ...] | None:
    classes = getattr(kind, 'METAINFO', {}).get('classes')
    return None if classes is None else tuple(classes)


def _joint_problem(cfg: Mapping[str, Any], key: str, kind: type) -> Problem | None:
    """What is wrong where a data set that knows boxes alone is given labels of whole images."""
    given = [name for name in ('image_labels', 'boxes', 'extra_labels') if name in cfg]
    if not given or issubclass(kind, JointDataset) or not issubclass(kind, CocoDataset):
        return None
    whose = "mmdet's " if kind.__module__.startswith('mmdet.') else ''
    return Problem(f'{whose}{kind.__name__} takes no {given[0]}', join(key, 'type'),
                   type_name(cfg.get('type')),
                   'CheckedCocoDataset, which reads the same files and takes it')


def _classes_problems(cfg: Mapping[str, Any], key: str) -> Iterator[Problem]:
    """What is wrong with ``metainfo`` in itself."""
    metainfo = cfg.get('metainfo') or {}
    where = join(key, 'metainfo.classes')
    classes = metainfo.get('classes')
    if isinstance(classes, str):
        if not os.path.isfile(classes):
            yield Problem('a string is no list of classes (one class needs its comma), and no file '
                          'of this name lists them', where, repr(classes), f'({classes!r},)')
        return
    for old in ('CLASSES', 'class_names'):
        if old in metainfo and classes is None:
            yield Problem(f'{old!r} is not read', join(key, 'metainfo', old), metainfo[old],
                          'the same under the name classes')
    if classes is None:
        return
    if not isinstance(classes, (list, tuple)) or not all(isinstance(c, str) for c in classes):
        yield Problem('classes are names', where, classes, 'a tuple of strings')
        return
    twice = sorted(name for name, n in Counter(classes).items() if n > 1)
    if twice:
        yield Problem(f'names that stand twice: {", ".join(twice)}', where, classes,
                      'every name once')


def _build(facts: DatasetFacts, kind: type) -> None:
    """Ask the dataset itself, built without its pipeline."""
    cfg = deepcopy(dict(facts.cfg))
    cfg.update(type=kind, pipeline=[], lazy_init=False)
    if not issubclass(kind, BaseDataset):
        facts.problems.append(Problem(
            f'{facts.type} is no BaseDataset of mmengine, so its images and classes are not known '
            'before the run', facts.where('type'), facts.type, severity='not made'))
        return
    try:
        dataset = DATASETS.build(cfg)
        classes = dataset.metainfo.get('classes')
        facts.classes = facts.classes if classes is None else tuple(classes)
        facts.size = len(dataset)
        looked_at = set(evenly(range(facts.size))) if loads_local_files(facts.cfg) else ()
        facts.image_files = []
        for i in range(facts.size):  # one by one: together millions would fill the memory
            info = dataset.get_data_info(i)
            _count(facts, info)
            if i in looked_at and 'img' not in info and isinstance(info.get('img_path'), str):
                facts.image_files.append(info['img_path'])
    except Exception as error:  # noqa: BLE001 - a dataset of any library, with errors of its own
        kind = '' if isinstance(error, (OSError, ValueError)) else f'{type(error).__name__}: '
        facts.problems.append(Problem(
            f'the dataset cannot be read: {kind}{error}', facts.where('type'), facts.type))


def _count(facts: DatasetFacts, info: Mapping[str, Any]) -> None:
    """Take over the id and the labels of a record."""
    if 'img_id' in info:
        facts.ids.add(info['img_id'])
    labels = info.get('gt_labels')
    if labels is None:
        labels = [instance.get('bbox_label') for instance in info.get('instances', ())
                  if not instance.get('ignore_flag')]
    if info.get('image_labels'):
        facts.image_labels[info['img_path']] = info['image_labels']
    for label in labels:
        if isinstance(label, int) and facts.classes and label < len(facts.classes):
            facts.objects[facts.classes[label]] += 1
