"""The font of texts in pictures."""

from functools import lru_cache
from pathlib import Path

import matplotlib
from PIL import ImageFont

#: Width of a letter over the size of the font, on average.
LETTER_WIDTH = 0.6


@lru_cache
def text_font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which matplotlib brings along: Latin, Greek and Cyrillic letters, and marks.

    Args:
        size: Its height in pixels.
    """
    return ImageFont.truetype(
        Path(matplotlib.get_data_path()) / 'fonts/ttf/DejaVuSans.ttf', size)


def shorten(text: str, width: float, size: int, keep_end: bool = False) -> str:
    """Cut a text, with dots in the place of what is left out, to a width in pixels.

    Args:
        text: One line.
        width: The most pixels it may take.
        size: Size of the font.
        keep_end: Cut at the front, as of paths, whose end tells most.
    """
    font = text_font(size)
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f'{text}…') > width:
        text = text[1:] if keep_end else text[:-1]
    return f'…{text}' if keep_end else f'{text}…'
