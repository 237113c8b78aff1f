"""What a run would be, as a table: data, model, schedule, and where files go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ..config_tree import type_name
from .dataset_facts import DatasetFacts
from .loader_facts import LoaderFacts
from .model_facts import backbone_channels, backbones
from .problem import listed
from .schedule import run_length, scheduler_end, schedulers
from .subject import Subject


def rows(subject: Subject) -> Iterator[tuple[str, str]]:
    """The table's rows, each a name and what is known of it."""
    for loader in subject.loaders:
        yield from _loader_rows(loader)
    yield from _model_rows(subject)
    if subject.task == 'train':
        yield from _schedule_rows(subject)
    if subject.checkpoint is not None:
        yield ('resumes' if subject.resume else 'weights'), subject.checkpoint.source
    yield 'files go to', str(subject.cfg.get('work_dir') or 'work_dirs/CONFIG')


def objects_table(subject: Subject) -> list[str]:
    """Objects of each class in each split that the task reads, as lines."""
    columns = {loader.key.removesuffix('_dataloader'): sum(
        (dataset.objects for dataset in loader.datasets), Counter()) for loader in subject.loaders}
    classes = next((loader.classes for loader in subject.loaders if loader.classes), ())
    if not classes:
        return []
    width = max(5, *(len(name) for name in classes))
    lines = ['  '.join([f'{"class":{width}}', *(f'{name:>8}' for name in columns)])]
    for name in classes:
        lines.append('  '.join([f'{name:{width}}',
                                *(f'{counts[name]:8d}' for counts in columns.values())]))
    return lines


def _loader_rows(loader: LoaderFacts) -> Iterator[tuple[str, str]]:
    split = loader.key.removesuffix('_dataloader')
    for dataset in loader.datasets:
        if dataset.size is None:
            continue
        yield f'{split} data', f'{dataset.ann_file} ({dataset.type})'
        yield f'{split} images', f'{dataset.size}{_sizes(dataset)}'
        yield f'{split} objects', (f'{sum(dataset.objects.values())} of {len(dataset.classes)} '
                                   f'classes: {listed(dataset.classes)}')
        kinds = Counter(kind for given in dataset.image_labels.values() for kind in given)
        if kinds:
            yield f'{split} labels', ', '.join(
                f'{kind} of {count} images' for kind, count in kinds.items())
        ignored = [f'{dataset.crowds} crowds to ignore'] if dataset.crowds else []
        ignored += [f'{count} {reason}' for reason, count in dataset.left_out.items()]
        if ignored:
            yield f'{split} left out', ', '.join(ignored)
    batches = loader.batches()
    if batches is not None:
        share = f' in each of {loader.processes} processes' if loader.processes > 1 else ''
        last = ', a smaller last one left out' if loader.drop_last else ''
        yield f'{split} batches', f'{batches} of {loader.batch_size} images{share}{last}'
    elif loader.infinite:
        yield f'{split} batches', f'of {loader.batch_size} images, without an end'


def _sizes(dataset: DatasetFacts) -> str:
    """The range of image sizes, where the annotation file has them."""
    images = dataset.coco.file.images if dataset.coco else ()
    sides = [(image['width'], image['height']) for image in images
             if isinstance(image.get('width'), int) and isinstance(image.get('height'), int)]
    if not sides:
        return ''
    width, height = (f'{min(side)}' if min(side) == max(side) else f'{min(side)} to {max(side)}'
                     for side in zip(*sides, strict=True))
    return f', {width} x {height} pixels'


def _model_rows(subject: Subject) -> Iterator[tuple[str, str]]:
    yield 'model', type_name(subject.model.get('type'))
    for _, backbone, _ in backbones(subject.model):
        arch = backbone.get('arch', backbone.get('depth', ''))
        name = f'{type_name(backbone.get("type"))} {arch if isinstance(arch, (str, int)) else ""}'
        channels = backbone_channels(backbone)
        yield 'backbone', f'{name.strip()}, channels {channels or "not known"}'
    for head in subject.heads:
        yield 'head', f'{head.key} = {head.num_classes}'


def _schedule_rows(subject: Subject) -> Iterator[tuple[str, str]]:
    epochs, iters = run_length(subject)
    length = [f'{epochs} epochs'] if epochs else []
    length += [f'{iters} iterations'] if iters else []
    yield 'length', ', '.join(length) or 'not known'
    wrapper = subject.cfg.get('optim_wrapper') or {}
    optimizer = wrapper.get('optimizer') or {}
    yield 'optimizer', f'{type_name(optimizer.get("type"))}, lr {optimizer.get("lr")}'
    for _, item in schedulers(subject):
        end = scheduler_end(item)
        unit = 'epoch' if item.get('by_epoch', True) else 'iteration'
        until = f' to {unit} {end[1]}' if end else ''
        steps = f', milestones {item["milestones"]}' if item.get('milestones') else ''
        yield 'schedule', f'{type_name(item.get("type"))} from {unit} {item.get("begin", 0)}' \
                          f'{until}{steps}'
