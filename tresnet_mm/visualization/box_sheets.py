"""All pictures of the mistakes of a detector."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .box_mistakes import BoxMistake, BoxMistakes
from .box_tile import draw_box_tile
from .caption import add_caption
from .label_mistakes import co_occurrence
from .sheet_writer import LISTED, TILE, SheetWriter, read_image


def write_box_sheets(writer: SheetWriter, found: BoxMistakes, classes: Sequence[str],
                     images: Sequence[str]) -> None:
    """Write false alarms, missed objects, doubtful annotations and matrices.

    Args:
        writer: Where to.
        found: What `find_box_mistakes` found.
        classes: Names of the classes.
        images: Image files, in the order of the annotation file.

    Raises:
        FileNotFoundError: If an image is not there.
        ValueError: If an image cannot be read.
    """
    for name, title, mistakes in [
            ('false_alarms', 'False alarms of the highest score', found.false_alarms),
            ('missed', 'Missed objects, the largest first', found.missed),
            ('doubtful', 'Objects whose annotation may be wrong or missing', found.doubtful())]:

        def tile(place: int, mistakes: list = mistakes) -> np.ndarray:
            mistake = mistakes[place]
            picture = draw_box_tile(
                read_image(images[mistake.image]), mistake.box, mistake.score is not None,
                found.objects[mistake.image][1], TILE)
            return add_caption(picture, [_text(mistake, classes), images[mistake.image]], 12)

        writer.sheet(name, title, [_record(m, classes, images) for m in mistakes[:LISTED]], tile)
    totals = found.confusion.sum(axis=1, keepdims=True)
    shares = np.divide(found.confusion, totals, out=np.full(found.confusion.shape, np.nan),
                       where=totals > 0)
    shares[-1, -1] = np.nan  # nothing that was found by nothing
    writer.matrix(
        'confusion', shares, [*classes, 'nothing'], [*classes, 'not found'],
        'Boxes on the objects of a class, in percent of the row', 'true', 'predicted')
    labels = np.zeros((len(images), len(classes)), int)
    for image, (present, _) in enumerate(found.objects):
        labels[image, present] = 1
    writer.matrix(
        'co_occurrence', co_occurrence(labels), classes, classes,
        'Also in the image of an object, in percent', 'object', 'also there')


def _text(mistake: BoxMistake, classes: Sequence[str]) -> str:
    name, kind = classes[mistake.label], str(mistake.kind)
    if mistake.score is None:
        return f'{name}, {kind}'
    if kind == 'other class' and mistake.other is not None:
        kind = f'labelled {classes[mistake.other]}'
    return f'{name} {mistake.score:.2f}, {kind}'


def _record(mistake: BoxMistake, classes: Sequence[str], images: Sequence[str]) -> dict[str, Any]:
    record: dict[str, Any] = {
        'image': images[mistake.image], 'class': classes[mistake.label],
        'box': [round(float(v), 1) for v in mistake.box], 'kind': mistake.kind}
    if mistake.score is not None:
        record |= {'score': round(mistake.score, 4), 'overlap': round(mistake.overlap, 3),
                   'overlaps': None if mistake.other is None else classes[mistake.other]}
    return record
