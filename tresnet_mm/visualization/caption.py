"""Lines of text under a picture."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from .font import shorten, text_font

_PAPER = (250, 250, 250)
_INK = (20, 20, 20)


def add_caption(image: np.ndarray, lines: Sequence[str], size: int = 13) -> np.ndarray:
    """Put lines of text under a picture; what is too long for its width is cut at the front.

    Args:
        image: uint8 (H, W, 3) in RGB.
        lines: The text, a string a line.
        size: Height of the letters in pixels.

    Returns:
        uint8 (H + height of the text, W, 3) in RGB.
    """
    height, width = image.shape[:2]
    step = round(1.4 * size)
    picture = Image.new('RGB', (width, height + step * len(lines) + 6), _PAPER)
    picture.paste(Image.fromarray(image))
    draw = ImageDraw.Draw(picture)
    for number, line in enumerate(lines):
        text = shorten(line, width - 8, size, keep_end=True)
        draw.text((4, height + 2 + step * number), text, fill=_INK, font=text_font(size))
    return np.asarray(picture)
