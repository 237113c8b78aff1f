"""The scores of image-level labels under the image."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from .font import shorten, text_font

_PAPER = (250, 250, 250)
_INK = (20, 20, 20)
#: (predicted, true) -> colour of the bar
_BAR_COLOURS = {
    (True, True): (110, 200, 120),
    (True, False): (240, 120, 110),
    (False, True): (250, 200, 90),
    (False, False): (205, 205, 205),
}
#: (predicted, true) -> mark before the score and word behind the name, for those who see no colours
_VERDICTS = {
    (True, True): ('✓', 'hit'),
    (True, False): ('✗', 'false alarm'),
    (False, True): ('○', 'missed'),
    (False, False): (' ', ''),
}


def draw_label_scores(
    image: np.ndarray,
    scores: np.ndarray | None,
    class_names: Sequence[str],
    targets: np.ndarray | None = None,
    threshold: float | np.ndarray = 0.5,
    top: int = 5,
    width: int = 256,
    predicted: np.ndarray | None = None,
    most: int = 30,
    text_size: int = 13,
) -> np.ndarray:
    """Draw the labels of an image as lines below it: verdict, score, name, and the score as a bar.

    ``✓ hit``, green: predicted and true; ``✗ false alarm``, red: predicted only; ``○ missed``,
    yellow: true only; grey without a mark: neither; ``?``, grey: nobody knows (-1). Without
    ``targets`` what is predicted is green, without ``scores`` what is true.

    Args:
        image: uint8 (H, W, 3) in RGB.
        scores: Probabilities (num_classes,) in [0, 1]; None where nothing was predicted.
        class_names: One name a class.
        targets: (num_classes,): 1 present, 0 absent, -1 unknown.
        threshold: Score from which on a label is predicted, one or (num_classes,).
        top: How many labels to list at least; predicted and true ones are listed in any case.
        width: Width in pixels to which the image is scaled, its aspect ratio kept.
        predicted: Boolean (num_classes,), in the place of ``threshold``.
        most: How many labels to list at most, after the true ones; what is left out is counted.
        text_size: Height of the letters in pixels.

    Returns:
        uint8 (height, width, 3) in RGB.

    Raises:
        ValueError: If the number of scores, names or targets differs.
    """
    count = len(class_names)
    values: np.ndarray = np.asarray(np.zeros(count) if scores is None else scores, dtype=float)
    labels = np.zeros(count) if targets is None else np.asarray(targets)
    if not len(values) == count == len(labels):
        raise ValueError(
            f'got {len(values)} scores for {count} class names and {len(labels)} targets'
        )
    true, unknown = labels > 0.5, labels < 0
    positive: np.ndarray = np.asarray(values >= threshold if predicted is None else predicted, bool)
    if scores is None:
        positive, top = np.zeros_like(true), 0
    lines = []
    listed, left_out = _listed(values, true, positive, top, most)
    for i in listed:
        judged = bool(positive[i] and not unknown[i]), bool(true[i])
        mark, word = _VERDICTS[judged]
        if targets is None or scores is None:
            judged, mark, word = (any(judged), any(judged)), ' ', ''
        elif unknown[i]:
            mark, word = '?', 'unknown'
        number = '' if scores is None else f'{values[i]:.2f} '
        text = f'{mark} {number}{class_names[i]}' + (f'  {word}' if word else '')
        lines.append((text, values[i], _BAR_COLOURS[judged]))
    if left_out:
        lines.append((f'  and {left_out} more', 0.0, _PAPER))
    return _draw(image, lines, width, text_size)


def _listed(scores: np.ndarray, true: np.ndarray, predicted: np.ndarray, top: int,
            most: int) -> tuple[list[int], int]:
    """The labels to list, by falling score, and how many have no place; true ones have it first."""
    ranked = np.argsort(-scores, kind='stable')
    rank = np.empty(len(scores), int)
    rank[ranked] = np.arange(len(scores))
    wanted = [i for i in ranked if true[i] or predicted[i] or rank[i] < top]
    kept = sorted(wanted, key=lambda i: (not true[i], rank[i]))[:most]
    return sorted(kept, key=lambda i: rank[i]), len(wanted) - len(kept)


def _draw(image: np.ndarray, lines: Sequence[tuple[str, float, tuple[int, int, int]]], width: int,
          text_size: int) -> np.ndarray:
    """The image at a width, and a line for each text, score in [0, 1] and colour of its bar."""
    step = round(1.4 * text_size)
    height = round(image.shape[0] * width / image.shape[1])
    picture = Image.new('RGB', (width, height + step * len(lines) + 4), _PAPER)
    picture.paste(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))
    draw = ImageDraw.Draw(picture)
    for line, (text, score, colour) in enumerate(lines):
        y = height + 2 + step * line
        draw.rectangle((0, y + 1, max(1, round(score * width)), y + step - 2), fill=colour)
        draw.text((4, y + step // 2), shorten(text, width - 8, text_size), fill=_INK,
                  font=text_font(text_size), anchor='lm')
    return np.asarray(picture)
