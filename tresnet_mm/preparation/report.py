"""The report on own data: what to look at before training, then the figures."""
from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .data_figures import box_counts, image_counts, present, size_counts
from .image_scan import ImageScan, scan_images
from .odd_boxes import KINDS, OddBox, odd_boxes
from .report_pictures import ReportPictures
from .source_data import SourceData
from .split import missing_classes

#: Lines of a list in the report; the whole list is in a JSON file beside it.
_WORST = 10
#: Classes with fewer training images are told.
_FEW = 20


class Report(NamedTuple):
    """A report that was written."""

    file: Path
    """``report.md``."""
    look_first: list[str]
    """What to look at before training, in Markdown; empty where nothing looks wrong."""


def write_report(data: SourceData, parts: Mapping[str, Sequence[int]], folder: str | Path,
                 scale: tuple[int, int] | None = None) -> Report:
    """Write ``FOLDER/report/report.md``, with its pictures and lists beside it.

    An older report there is replaced when the new one is whole. Each image is decoded once, and
    those that are shown once more; one is in memory at a time.

    Args:
        data: The source.
        parts: Name of a part to indices into ``data.images``, as of `split`.
        folder: Where ``report/`` is made.
        scale: Long and short side of the images in training, to tell what size boxes have then.

    Raises:
        FileExistsError: If ``FOLDER/report`` is there and is no report.
    """
    target = Path(folder) / 'report'
    if target.exists() and not (target / 'report.md').is_file():
        raise FileExistsError(f'{target} is there and is no report of this kind; move it away or '
                              f'choose another folder')
    made = target.with_name('.report.part')
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    try:
        text, look_first = _report(data, parts, made, scale)
        (made / 'report.md').write_text(text, encoding='utf-8')
        shutil.rmtree(target, ignore_errors=True)
        made.replace(target)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    return Report(target / 'report.md', look_first)


def _report(data: SourceData, parts: Mapping[str, Sequence[int]], folder: Path,
            scale: tuple[int, int] | None) -> tuple[str, list[str]]:
    scan = scan_images(data)
    odd = odd_boxes(data)
    pictures = ReportPictures(data, folder, {index for index, _ in scan.unreadable})
    alike = _alike(data, parts, scan, pictures)
    first = [*alike[0], *_unreadable(data, scan), *_rare(data, parts), *alike[1],
             *_odd_lines(data, odd)]
    sections = ['# Report on the data', '## Look at these first',
                _bullets(first) or 'Nothing was found that looks wrong.',
                *(['## Said while reading', _bullets(map(escaped, data.notes))]
                  if data.notes else []),
                '## Parts', _parts_table(data, parts), *_unknown(data),
                '## Classes', _classes_table(data, parts)]
    if any(image.boxes for image in data.images):
        sections += ['## Box sizes', _sizes_table(data, parts, scale)]
    for kind, found in odd.items():
        if found:
            pictures.odd(kind, found)
            sections += [f'## {KINDS[kind].split(";")[0]}', _odd_table(data, kind, found),
                         f'![{kind}]({kind}.png)']
    if len(data.classes) > 1:
        pictures.co_occurrence()
        sections += ['## Classes that come together', '![co-occurrence](co_occurrence.png)']
    sections += ['## Samples', *(f'![{name}]({name}.png)' for name in pictures.samples())]
    return '\n\n'.join(sections) + '\n', first


def _alike(data: SourceData, parts: Mapping[str, Sequence[int]], scan: ImageScan,
           pictures: ReportPictures) -> tuple[list[str], list[str]]:
    """What is to be told of images that look the same, across parts and inside one."""
    of = {index: part for part, members in parts.items() for index in members}
    groups: dict[bool, list[list[int]]] = {True: [], False: []}
    for group in scan.alike:
        groups[len({of.get(index) for index in group}) > 1].append(group)
    told: dict[bool, list[str]] = {True: [], False: []}
    for across, name, title in [(True, 'alike_across', 'Images that look the same across parts'),
                                (False, 'alike_within', 'Images that look the same in one part')]:
        if groups[across]:
            records: list[dict[str, Any]] = [
                dict(images=[data.images[i].name for i in group],
                     parts=[of.get(i) for i in group], same_bytes=group in scan.copies)
                for group in groups[across]]
            # of a group two are shown, from different parts where it can be
            shown = [sorted(group, key=lambda i: _apart_first(of, group, i))
                     for group in groups[across]]
            pictures.alike(name, title, shown, records)
            number = sum(map(len, groups[across]))
            told[across] = [f'**{number} images in {len(groups[across])} groups look the same'
                            f'{" and lie in different parts" if across else " in one part"}**'
                            f' ([picture]({name}.png), [list]({name}.json)). ' + (
                                'Scores are too good with them: a model is tested on what it has '
                                'seen. Split anew with [groups.json](groups.json): `--group '
                                'groups.json --resplit`.'
                                if across else 'They count for more than others in training.')]
    if scan.alike:
        group_of = {data.images[i].name: data.images[group[0]].name
                    for group in scan.alike for i in group}
        everything = {image.name: group_of.get(image.name, image.name) for image in data.images}
        (pictures.folder / 'groups.json').write_text(json.dumps(everything, indent=1) + '\n')
    return told[True], told[False]


def _apart_first(of: Mapping[int, str], group: Sequence[int], index: int) -> tuple[int, int]:
    """Puts the first image, then the first of another part, in front."""
    return (0 if index == group[0] else 1 if of.get(index) != of.get(group[0]) else 2, index)


def _unreadable(data: SourceData, scan: ImageScan) -> list[str]:
    if not scan.unreadable:
        return []
    lines = [f'    - {escaped(data.images[i].name)}: {escaped(why)}'
             for i, why in scan.unreadable[:_WORST]]
    rest = len(scan.unreadable) - len(lines)
    more = [f'    - and {rest} more'] if rest else []
    first = escaped(data.images[scan.unreadable[0][0]].name)
    head = (f'**{len(scan.unreadable)} of {len(data.images)} images cannot be read**, such as '
            f'{first}; training stops at them:')
    return ['\n'.join([head, *lines, *more])]


def _rare(data: SourceData, parts: Mapping[str, Sequence[int]]) -> list[str]:
    told = [f'Class {escaped(name)} is in no image of {", ".join(map(escaped, absent))}.'
            for name, absent in missing_classes(data, parts).items()]
    totals = image_counts(data, range(len(data.images)))
    never = [escaped(name) for name, n in zip(data.classes, totals, strict=True) if not n]
    if never:
        told.append(f'Classes in no image at all: {", ".join(never)}.')
    part = 'train' if 'train' in parts else next(iter(parts), None)
    counts = image_counts(data, parts[part]) if part else []
    few = sorted((n, name) for name, n in zip(data.classes, counts, strict=False) if 0 < n < _FEW)
    if few:
        told.append(f'Classes with fewer than {_FEW} images in {part}: '
                    + ', '.join(f'{escaped(name)} ({n})' for n, name in few) + '.')
    there = [n for n in counts if n]
    if there and max(there) >= 10 * min(there):
        told.append(f'The most frequent class has {max(there) / min(there):.0f} times as many '
                    f'images in {part} as the rarest ({max(there)} and {min(there)}).')
    return told


def _odd_lines(data: SourceData, odd: Mapping[str, list[OddBox]]) -> list[str]:
    return [f'{KINDS[kind].split(";")[0].split(" (")[0]}: {len(found)} ([picture]({kind}.png), '
            f'[list]({kind}.json)).' for kind, found in odd.items() if found]


def _odd_table(data: SourceData, kind: str, found: Sequence[OddBox]) -> str:
    rows = [[escaped(data.images[o.image].name),
             escaped(data.classes[o.box.label])
             + (f', {escaped(data.classes[o.other.label])}' if o.other else ''),
             ' '.join(f'{v:g}' for v in o.box[1:5]), f'{o.value:.3g}'] for o in found[:_WORST]]
    what = KINDS[kind].split('; value: ')[1]
    note = f'\n\nThe worst {_WORST} of {len(found)}; [all]({kind}.json).' \
        if len(found) > _WORST else ''
    return _table(['image', 'class', 'x y width height', what], rows) + note


def _parts_table(data: SourceData, parts: Mapping[str, Sequence[int]]) -> str:
    rows = []
    for part, members in parts.items():
        images = [data.images[i] for i in members]
        objects = [sum(not box.ignore for box in image.boxes) for image in images
                   if image.boxes is not None]
        seen = [image for image in images if image.boxes is not None or image.labels is not None]
        rows.append([escaped(part), len(images), sum(not present(image) for image in seen),
                     _span([image.width for image in images]),
                     _span([image.height for image in images]), sum(objects), _span(objects)])
    return _table(['part', 'images', 'with nothing in them', 'width', 'height', 'objects',
                   'objects an image'], rows) + '\n\nThree numbers: least, median, most.'


def _unknown(data: SourceData) -> list[str]:
    unknown = sum(len(image.unknown) for image in data.images)
    unseen = sum(image.boxes is None and image.labels is None for image in data.images)
    crowds = sum(box.ignore for image in data.images for box in image.boxes or ())
    told = [f'{number} {what}' for number, what in [
        (unknown, 'labels are unknown'), (unseen, 'images have neither boxes nor labels'),
        (crowds, 'boxes are to be ignored and not counted here')] if number]
    return ['; '.join(told) + '.'] if told else []


def _classes_table(data: SourceData, parts: Mapping[str, Sequence[int]]) -> str:
    boxed = any(image.boxes for image in data.images)
    columns = [image_counts(data, members) for members in parts.values()]
    titles = [f'images in {escaped(part)}' for part in parts]
    if boxed:
        columns += [box_counts(data, members) for members in parts.values()]
        titles += [f'boxes in {escaped(part)}' for part in parts]
    return _table(['class', *titles], [[escaped(name), *(column[label] for column in columns)]
                                       for label, name in enumerate(data.classes)])


def _sizes_table(data: SourceData, parts: Mapping[str, Sequence[int]],
                 scale: tuple[int, int] | None) -> str:
    rows = []
    for part, members in parts.items():
        rows.append([escaped(part), 'as they are', *size_counts(data, members)])
        if scale:
            rows.append([escaped(part), f'fitted into {max(scale)} x {min(scale)}',
                         *size_counts(data, members, scale)])
    return _table(['part', 'images', 'small (below 32² px)', 'medium', 'large (96² px and more)'],
                  rows)


def _span(values: Sequence[int]) -> str:
    return f'{min(values)}, {np.median(values):g}, {max(values)}' if values else '-'


def _table(titles: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [titles, ['---'] * len(titles), *rows]
    return '\n'.join('| ' + ' | '.join(map(str, line)) + ' |' for line in lines)


def _bullets(lines: Any) -> str:
    return '\n'.join(f'- {line}' for line in lines)


def escaped(text: str) -> str:
    """A stranger's text as Markdown that shows it as it is."""
    return re.sub(r'([\\`*_\[\]<>|#~&])', r'\\\1', re.sub(r'\s+', ' ', text))
