"""All pictures of the mistakes of a model of one label an image."""

from collections.abc import Callable, Sequence

import numpy as np

from .caption import add_caption
from .label_scores import draw_label_scores
from .sheet_writer import LISTED, TILE, SheetWriter, read_image
from .single_label_mistakes import class_confusion, doubtful_images, label_losses, wrong_images


def write_single_label_sheets(writer: SheetWriter, scores: np.ndarray, labels: np.ndarray,
                              classes: Sequence[str], images: Sequence[str],
                              read: Callable[[str], np.ndarray] = read_image) -> None:
    """Write the images of the highest loss, the surest mistakes, doubtful labels and a matrix.

    Args:
        writer: Where to.
        scores: Probabilities (N, C) that sum to 1.
        labels: (N,) class indices.
        classes: Names of the classes.
        images: Image files, or what else ``read`` knows.
        read: Gives an image by its name, uint8 (H, W, 3) in RGB.

    Raises:
        FileNotFoundError: If an image is not there.
        ValueError: If an image cannot be read.
    """
    one_of = np.eye(len(classes), dtype=int)
    predicted = scores.argmax(axis=1)

    def tile(image: int, caption: str) -> np.ndarray:
        picture = draw_label_scores(
            read(images[image]), scores[image], classes, one_of[labels[image]], top=3,
            width=TILE, most=6, predicted=one_of[predicted[image]].astype(bool))
        return add_caption(picture, [caption, images[image]], 12)

    def record(image: int, named: str, other: int) -> dict:
        return {'image': images[image], 'label': classes[labels[image]],
                'label_score': round(float(scores[image, labels[image]]), 4),
                named: classes[other], f'{named}_score': round(float(scores[image, other]), 4)}

    losses = label_losses(scores, labels)
    worst = np.argsort(-losses, kind='stable')[:LISTED].tolist()
    writer.sheet('highest_loss', 'Images of the highest loss',
                 [{**record(i, 'predicted', predicted[i]), 'loss': round(float(losses[i]), 4)}
                  for i in worst],
                 lambda place: tile(worst[place], f'loss {losses[worst[place]]:.2f}'))
    wrong = wrong_images(scores, labels, LISTED)
    writer.sheet('wrong', 'Wrong predictions of the highest score',
                 [record(i, 'predicted', predicted[i]) for i in wrong],
                 lambda place: tile(wrong[place], _caption(
                     classes[predicted[wrong[place]]], classes[labels[wrong[place]]])))
    doubtful = doubtful_images(scores, labels, LISTED)
    writer.sheet('doubtful', 'Labels that may be wrong',
                 [record(i, 'likely', c) for i, c in doubtful],
                 lambda place: tile(doubtful[place][0], _caption(
                     classes[doubtful[place][1]], classes[labels[doubtful[place][0]]])))
    writer.matrix('confusion', class_confusion(scores, labels), classes, classes,
                  'Predicted where a class is true, in percent', 'true', 'predicted')


def _caption(other: str, label: str) -> str:
    return f'{other}, labelled {label}'
