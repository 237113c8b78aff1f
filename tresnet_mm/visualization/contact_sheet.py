"""Many pictures on one."""

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from .font import text_font

_MARGIN = 8
_TITLE_HEIGHT = 34
_TITLE_SIZE = 19
_PAPER = 'white'
_INK = 'black'


def contact_sheet(
    images: Sequence[np.ndarray], columns: int = 4, title: str | None = None
) -> np.ndarray:
    """Arrange images in a grid, row by row.

    Args:
        images: uint8 arrays (H, W, 3) in RGB, of any sizes; the largest decides the cells.
        columns: Images a row.
        title: A line above the grid.

    Returns:
        uint8 (height, width, 3) in RGB.

    Raises:
        ValueError: If there are no images, or ``columns`` is less than 1.
    """
    if not images:
        raise ValueError('a contact sheet needs at least one image')
    if columns < 1:
        raise ValueError(f'columns must be at least 1, got {columns}')
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    cell_height = max(image.shape[0] for image in images) + _MARGIN
    cell_width = max(image.shape[1] for image in images) + _MARGIN
    top = _MARGIN + (_TITLE_HEIGHT if title else 0)
    width = max(columns * cell_width, _text_width(title)) + _MARGIN
    sheet = Image.new('RGB', (width, rows * cell_height + top), _PAPER)
    if title:
        draw = ImageDraw.Draw(sheet)
        draw.text((_MARGIN, _MARGIN), title, fill=_INK, font=text_font(_TITLE_SIZE))
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        place = (_MARGIN + column * cell_width, top + row * cell_height)
        sheet.paste(Image.fromarray(image), place)
    return np.asarray(sheet)


def _text_width(title: str | None) -> int:
    return _MARGIN + math.ceil(text_font(_TITLE_SIZE).getlength(title)) if title else 0
