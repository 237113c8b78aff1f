"""From a source that was read to a folder with data set, split, report and configs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeAlias

from ..whole_file import write_text
from ..whole_folder import whole_folder
from .choices import choose
from .config_writer import ConfigPlan, config_text
from .folds import folds
from .image_groups import Group
from .measures import labels_of, measure
from .report import write_report
from .source_data import SourceData
from .split import hold_out, own_parts, split
from .write_dataset import write_dataset

#: Name of a part to indices into the source's images.
Parts: TypeAlias = 'Mapping[str, Sequence[int]]'


@dataclass(frozen=True)
class Wishes:
    """What a user may choose."""

    task: str
    arch: str
    val: float = 0.15
    test: float = 0.15
    group: Group = None
    """See `image_groups`."""
    folds: int | None = None
    resplit: bool = False
    """Split anew where the source has parts of its own."""
    seed: int = 0
    pretrained: bool = True
    copy_images: bool = False


def default_task(data: SourceData) -> tuple[str, str]:
    """The task that a source is for, and why."""
    if any(image.boxes for image in data.images):
        return 'detection', 'there are boxes'
    known = [labels for labels in map(labels_of, data.images) if labels is not None]
    if known and all(len(labels) == 1 for labels in known):
        return 'single-label', 'every image has exactly one label'
    return 'multi-label', 'images have labels, and no boxes are drawn'


def require_fit(data: SourceData, task: str) -> None:
    """Refuse a task for which a source has nothing to learn from.

    Raises:
        ValueError: There is no box, or an image that does not have one label, named.
    """
    if task in ('detection', 'both') and not any(image.boxes for image in data.images):
        raise ValueError(f'--task {task}: the source has no boxes; --task multi-label or '
                         'single-label needs none')
    if task == 'single-label':
        for image in data.images:
            labels = labels_of(image)
            if labels is not None and (len(labels) != 1 or image.unknown):
                raise ValueError(f'--task single-label: {image.name} has {len(labels)} labels and '
                                 f'{len(image.unknown)} unknown ones where one is wanted; '
                                 '--task multi-label takes any number')


def require_apart(source: Path, out: Path) -> None:
    """Refuse to write into the source.

    Raises:
        ValueError: ``out`` is the source, or inside it.
    """
    source, out = source.resolve(), out.resolve()
    if out == source or source in out.parents:
        raise ValueError(f'{out} lies in the source {source}, of which nothing is changed: name a '
                         'folder outside it')


def plan_parts(data: SourceData, wishes: Wishes) -> list[Parts]:
    """The parts of every config: one, or one a fold.

    A split that the source has is kept, unless it is to be split anew or into folds; without a
    validation part one is taken from its training part.

    Raises:
        ValueError: It cannot be split so.
    """
    if wishes.folds:
        return list(folds(data, wishes.folds, wishes.seed, wishes.group))
    parts = {} if wishes.resplit else own_parts(data)
    if not parts:
        shares = dict(train=1 - wishes.val - wishes.test, val=wishes.val, test=wishes.test)
        shares = {name: share for name, share in shares.items() if share > 0}
        return [split(data, shares, wishes.seed, wishes.group)]
    if 'val' not in parts:
        parts = hold_out(data, parts, wishes.val, wishes.seed, wishes.group)
    return [parts]


class Prepared(NamedTuple):
    """What was written."""

    parts: list[Parts]
    """Of every config."""
    look_first: list[str]
    """What the report begins with, see `Report`."""


def prepare(data: SourceData, wishes: Wishes, out: Path) -> Prepared:
    """Write ``out``, whole or not at all.

    Raises:
        FileExistsError: ``out`` holds something.
        ValueError: The source cannot be split as wished.
    """
    found = plan_parts(data, wishes)
    plans = [_config_plan(data, wishes, parts, f'fold{number}_' if wishes.folds else '')
             for number, parts in enumerate(found)]
    with whole_folder(out) as folder:
        for number, (parts, plan) in enumerate(zip(found, plans, strict=True)):
            prefix, suffix = (f'fold{number}_', f'_fold{number}') if wishes.folds else ('', '')
            write_dataset(data, {prefix + name: parts[name] for name in parts}, folder)
            write_text(folder / f'config{suffix}.py', config_text(plan))
        scale = choose(plans[0].measures, data.classes, wishes.task, wishes.arch).scale
        report = write_report(
            data, found[0], folder, scale if plans[0].has_boxes else None)
        if wishes.copy_images:
            copy_images(data, folder / 'images')
    return Prepared(found, report.look_first)


def _config_plan(data: SourceData, wishes: Wishes, parts: Parts, prefix: str) -> ConfigPlan:
    if not parts.get('train'):
        raise ValueError(f'there is nothing to train on: the source has the parts '
                         f'{", ".join(parts)}')
    test = 'test' if 'test' in parts else 'val'
    return ConfigPlan(
        wishes.task, wishes.arch, data.classes,
        measure(data, [data.images[index] for index in parts['train']]),
        (f'{prefix}train', f'{prefix}val', prefix + test),
        None if wishes.copy_images else data.image_root,
        pretrained=wishes.pretrained, seed=wishes.seed)


def copy_images(data: SourceData, folder: Path) -> None:
    """Copy the images below ``folder``, under their names."""
    root = folder.resolve()
    for image in data.images:
        target = Path(os.path.normpath(root / image.name))
        if root not in target.parents:
            raise ValueError(f'image {image.name} would be copied out of {folder}')
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(image.file, target)
