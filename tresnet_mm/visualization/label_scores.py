"""The scores of image-level labels under the image."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_LINE = 18
_FONT_SIZE = 13
_PAPER = (250, 250, 250)
_INK = (20, 20, 20)
#: (predicted, true) -> colour of the bar
_BAR_COLOURS = {
    (True, True): (110, 200, 120),
    (True, False): (240, 120, 110),
    (False, True): (250, 200, 90),
    (False, False): (205, 205, 205),
}


def draw_label_scores(
    image: np.ndarray,
    scores: np.ndarray,
    class_names: Sequence[str],
    targets: np.ndarray | None = None,
    threshold: float = 0.5,
    top: int = 5,
    width: int = 256,
) -> np.ndarray:
    """Draw the highest scores as bars below an image.

    A bar is green where the label is predicted and true, red where it is predicted only, yellow
    where it is true only, grey where it is neither, or where nobody knows (-1). Without
    ``targets`` what is predicted is green.

    Args:
        image: uint8 (H, W, 3) in RGB.
        scores: Probabilities (num_classes,) in [0, 1].
        class_names: One name a class.
        targets: (num_classes,): 1 present, 0 absent, -1 unknown. True labels are marked ``*`` and
            always listed, unknown ones marked ``?``.
        threshold: Score from which on a label is predicted.
        top: How many labels to list at least.
        width: Width in pixels to which the image is scaled, its aspect ratio kept.

    Returns:
        uint8 (height, width, 3) in RGB.

    Raises:
        ValueError: If the number of scores, names or targets differs.
    """
    scores = np.asarray(scores, dtype=float)
    true = np.zeros(len(scores), bool) if targets is None else np.asarray(targets) > 0.5
    unknown = np.zeros(len(true), bool) if targets is None else np.asarray(targets) < 0
    if not len(scores) == len(class_names) == len(true):
        raise ValueError(
            f'got {len(scores)} scores for {len(class_names)} class names and {len(true)} targets'
        )
    ranked = np.argsort(-scores, kind='stable')
    order = [i for rank, i in enumerate(ranked) if rank < top or true[i]]
    height = round(image.shape[0] * width / image.shape[1])
    picture = Image.new('RGB', (width, height + _LINE * len(order) + 4), _PAPER)
    picture.paste(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=_FONT_SIZE)
    for line, i in enumerate(order):
        y = height + 2 + _LINE * line
        predicted = bool(scores[i] >= threshold and not unknown[i])
        colour = _BAR_COLOURS[predicted, bool(true[i]) or (targets is None and predicted)]
        draw.rectangle((0, y + 1, max(1, round(scores[i] * width)), y + _LINE - 2), fill=colour)
        mark = ' *' if true[i] else ' ?' if unknown[i] else ''
        text = f'{scores[i]:.2f} {class_names[i]}{mark}'
        draw.text((4, y + 1), text, fill=_INK, font=font)
    return np.asarray(picture)
