"""A mistaken box on the part of the image around it."""

from collections.abc import Sequence

import mmcv
import numpy as np
from PIL import Image, ImageDraw

_PREDICTED, _TRUE, _MISSED, _RIM = (240, 40, 40), (40, 220, 80), (255, 190, 0), (0, 0, 0)
#: The part that is shown is so many times as large as the box, and this share of the image at least
_ZOOM, _LEAST = 3.0, 0.2


def draw_box_tile(image: np.ndarray, box: Sequence[float], predicted: bool,
                  objects: np.ndarray, side: int = 256) -> np.ndarray:
    """Draw a box, and dashed the objects around it, on a square part of the image.

    The box itself is thick: red and unbroken where it is predicted, yellow and dashed where it is
    an object that was missed. The other objects are thin, green and dashed.

    Args:
        image: uint8 (H, W, 3) in RGB.
        box: x1, y1, x2, y2 in pixels.
        predicted: Whether it was predicted; else it is an object.
        objects: True boxes (n, 4) of the image, the same form.
        side: Width and height of the picture in pixels.

    Returns:
        uint8 (side, side, 3) in RGB.
    """
    height, width = image.shape[:2]
    limit = 2 * max(height, width)
    x1, y1, x2, y2 = (float(v) for v in np.clip(box, -limit, limit))  # a box may be anywhere
    # not larger than the image unless the box needs it
    wanted = max(_ZOOM * max(x2 - x1, y2 - y1), _LEAST * max(height, width), 48)
    window = min(wanted, max(height, width, x2 - x1 + 8, y2 - y1 + 8))
    left = _place((x1 + x2) / 2, window, width)
    top = _place((y1 + y2) / 2, window, height)
    part = mmcv.imcrop(image, np.array([left, top, left + round(window) - 1,
                                        top + round(window) - 1]), pad_fill=None)
    scale = side / max(part.shape[:2])
    part = mmcv.imresize(part, [max(1, round(scale * n)) for n in part.shape[1::-1]],
                         interpolation='bicubic')
    view = Image.fromarray(part)
    draw = ImageDraw.Draw(view)
    origin = np.array([max(left, 0), max(top, 0)] * 2)
    for thing in objects:
        _draw_box(draw, (thing - origin) * scale, _TRUE, 2, dashed=True)
    _draw_box(draw, (np.asarray(box, float) - origin) * scale,
              _PREDICTED if predicted else _MISSED, 5, dashed=not predicted)
    picture = Image.new('RGB', (side, side), 'white')
    picture.paste(view)
    return np.asarray(picture)


def _place(centre: float, window: float, size: int) -> int:
    """Where a window around a centre starts, moved into the image as far as it goes."""
    return round(max(0, min(centre - window / 2, size - window)))


def _draw_box(draw: ImageDraw.ImageDraw, box: np.ndarray, colour: tuple[int, int, int], width: int,
              dashed: bool) -> None:
    x1, y1, x2, y2 = box
    for start, end in [((x1, y1), (x2, y1)), ((x2, y1), (x2, y2)), ((x2, y2), (x1, y2)),
                       ((x1, y2), (x1, y1))]:
        length = float(np.hypot(end[0] - start[0], end[1] - start[1]))
        pieces = max(1, round(length / 12)) if dashed else 1
        for i in range(pieces):
            a, b = i / pieces, (i + (0.6 if dashed else 1)) / pieces
            line = [tuple(s + t * (e - s) for s, e in zip(start, end, strict=True))
                    for t in (a, b)]
            draw.line(line, fill=_RIM, width=width + 2)
            draw.line(line, fill=colour, width=width)
