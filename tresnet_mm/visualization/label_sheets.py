"""All pictures of the mistakes of a model of image labels."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .caption import add_caption
from .label_mistakes import (
    CROSS_ENTROPY,
    co_occurrence,
    doubtful_labels,
    false_alarms,
    image_losses,
    label_confusion,
    missed_labels,
)
from .label_scores import draw_label_scores
from .sheet_writer import LISTED, TILE, SheetWriter, read_image


def write_label_sheets(
    writer: SheetWriter, scores: np.ndarray, targets: np.ndarray, classes: Sequence[str],
    images: Sequence[str], thresholds: np.ndarray, loss: Mapping[str, Any] = CROSS_ENTROPY,
) -> None:
    """Write the images of the highest loss, false alarms, misses, doubtful labels and matrices.

    Args:
        writer: Where to.
        scores: Probabilities (N, C).
        targets: (N, C) of 1 present, 0 absent, -1 unknown.
        classes: Names of the classes.
        images: Image files.
        thresholds: (C,), a label is predicted where its score is above.
        loss: The constants of `asymmetric_loss` that the images are ranked by.

    Raises:
        FileNotFoundError: If an image is not there.
        ValueError: If an image cannot be read.
    """
    def tile(image: int, caption: str) -> np.ndarray:
        picture = draw_label_scores(
            read_image(images[image]), scores[image], classes, targets[image], thresholds, top=2,
            width=TILE, most=6)
        return add_caption(picture, [caption, images[image]], 12)

    losses = image_losses(scores, targets, **loss)
    worst = np.argsort(-losses, kind='stable')[:LISTED]
    writer.sheet('highest_loss', 'Images of the highest loss',
                 [{'image': images[i], 'loss': round(float(losses[i]), 4)} for i in worst],
                 lambda place: tile(worst[place], f'loss {losses[worst[place]]:.2f}'))
    for name, title, pairs in [
            ('false_alarms', 'False alarms of the highest score',
             false_alarms(scores, targets, thresholds, LISTED)),
            ('missed', 'Missed labels of the lowest score',
             missed_labels(scores, targets, thresholds, LISTED)),
            ('doubtful', 'Labels that may be wrong', doubtful_labels(scores, targets, LISTED))]:
        records = [{'image': images[i], 'class': classes[c],
                    'score': round(float(scores[i, c]), 4), 'labelled': bool(targets[i, c] == 1)}
                   for i, c in pairs]

        def captioned(place: int, pairs: list = pairs, records: list = records) -> np.ndarray:
            record = records[place]
            state = 'labelled' if record['labelled'] else 'not labelled'
            return tile(pairs[place][0], f'{record["class"]} {record["score"]:.2f}, {state}')

        writer.sheet(name, title, records, captioned)
    writer.matrix(
        'confusion', label_confusion(scores, targets, thresholds), classes, classes,
        'Predicted where a label is true, in percent', 'true', 'predicted')
    writer.matrix(
        'co_occurrence', co_occurrence(targets), classes, classes,
        'Also true where a label is true, in percent', 'true', 'also true')
