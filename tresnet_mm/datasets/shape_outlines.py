"""Outlines of the synthetic shapes, and their anti-aliased drawing."""

import cv2
import numpy as np

_OVERSAMPLING = 4
_SUBPIXEL_BITS = 4


def _ray(angles: np.ndarray, radii: np.ndarray | float = 1.0) -> np.ndarray:
    """Points (n, 2) at these angles in radians and distances from the origin."""
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)


def _regular(corners: int, radius: float = 1.0) -> np.ndarray:
    return _ray(np.arange(corners) * 2 * np.pi / corners, radius)


def _star() -> np.ndarray:
    return _ray(np.arange(10) * np.pi / 5, np.tile([1.0, 0.42], 5))


def _cross(half_width: float = 0.33) -> np.ndarray:
    """Two bars of length 2: twelve corners, quarter by quarter, then scaled into the unit disc."""
    quarter = np.array([[1, -half_width], [1, half_width], [half_width, half_width]])
    turn = np.array([[0, -1], [1, 0]])
    corners = np.concatenate([quarter @ np.linalg.matrix_power(turn, i).T for i in range(4)])
    return corners / np.hypot(1, half_width)


def _arrow() -> np.ndarray:
    """Pointing along x: the tip, then the upper half from head to tail, then the lower one."""
    upper = np.array([[0.1, 0.75], [0.1, 0.28], [-0.95, 0.28]])
    return np.concatenate([[[1.0, 0.0]], upper, upper[::-1] * [1, -1]])


#: Closed polygons of each shape inside the unit disc; the second of a shape is a hole in the first.
OUTLINES: dict[str, list[np.ndarray]] = {
    'circle': [_regular(64)],
    'square': [_regular(4)],
    'triangle': [_regular(3)],
    'star': [_star()],
    'cross': [_cross()],
    'ring': [_regular(64), _regular(64, 0.55)],
    'half': [(_ray(np.linspace(-np.pi / 2, np.pi / 2, 33)) - [0.4, 0]) / np.hypot(1, 0.4)],
    'arrow': [_arrow()],
}
SHAPES = tuple(OUTLINES)


def draw_mask(
    outline: list[np.ndarray], centre: np.ndarray, radius: float, angle: float, size: int
) -> np.ndarray:
    """Share of each pixel that a shape covers.

    Args:
        outline: Polygons (n, 2) in the unit disc; where two overlap there is a hole.
        centre: (x, y) in pixels; (0, 0) is the upper left corner of the image.
        radius: Radius of the unit disc in pixels.
        angle: Rotation in radians.
        size: Side of the square image in pixels.

    Returns:
        float32 (size, size) in [0, 1].
    """
    cos, sin = radius * np.cos(angle), radius * np.sin(angle)
    rotation = np.array([[cos, sin], [-sin, cos]])
    canvas = np.zeros((size * _OVERSAMPLING,) * 2, np.uint8)
    # OpenCV puts integer coordinates in the middle of a pixel, hence the half
    points = [((p @ rotation + centre) * _OVERSAMPLING - 0.5) * 2**_SUBPIXEL_BITS for p in outline]
    cv2.fillPoly(canvas, [p.round().astype(np.int32) for p in points], 255, shift=_SUBPIXEL_BITS)
    return cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
