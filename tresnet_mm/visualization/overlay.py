"""Lines of text on a picture, which keeps its size."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from .font import shorten, text_font

_SHADE, _INK = (0, 0, 0, 150), (255, 255, 255, 255)


def overlay_text(image: np.ndarray, lines: Sequence[str], size: int | None = None) -> np.ndarray:
    """Write lines into the upper left corner, on a shade; the last says how many have no place.

    Args:
        image: uint8 (H, W, 3) in RGB.
        lines: The text, a string a line.
        size: Height of the letters in pixels (default: a 30th of the image's height, 11 at least).

    Returns:
        uint8 (H, W, 3) in RGB.
    """
    height, width = image.shape[:2]
    size = size or max(11, height // 30)
    step = round(1.4 * size)
    most = max(1, (height - 4) // step)
    if len(lines) > most:
        lines = [*lines[:most - 1], f'and {len(lines) - most + 1} more']
    if not lines:
        return image
    texts = [shorten(line, width - 12, size) for line in lines]
    right = max(text_font(size).getlength(text) for text in texts) + 12
    layer = Image.new('RGBA', (width, height))
    draw = ImageDraw.Draw(layer)
    draw.rectangle((0, 0, right, step * len(texts) + 4), fill=_SHADE)
    for number, text in enumerate(texts):
        draw.text((6, 2 + step * number), text, fill=_INK, font=text_font(size))
    picture = Image.alpha_composite(Image.fromarray(image).convert('RGBA'), layer)
    return np.asarray(picture.convert('RGB'))
