"""A map of values laid over an image in colours."""

import matplotlib
import numpy as np

_STRONGEST = 0.75


def draw_heat(image: np.ndarray, values: np.ndarray, largest: float | None = None) -> np.ndarray:
    """Lay values over an image: positive ones in red, negative ones in blue, 0 leaves it as it is.

    The image turns grey under the colours, and the farther from 0 a value is, the denser is its
    colour.

    Args:
        image: uint8 (H, W, 3) in RGB.
        values: float (H, W), such as of `ClassMaps.on_image`.
        largest: The absolute value of the densest colour; default: the largest there is.

    Returns:
        uint8 (H, W, 3) in RGB.

    Raises:
        ValueError: If the sizes differ.
    """
    if image.shape[:2] != values.shape:
        raise ValueError(f'values of shape {values.shape} on an image of {image.shape[:2]}')
    largest = float(np.abs(values).max()) if largest is None else largest
    strength = np.clip(values / largest, -1, 1) if largest > 0 else np.zeros(values.shape)
    # without the ends of the colour map, which are too dark to see anything through
    colours = 255 * matplotlib.colormaps['RdBu_r'](0.5 + 0.38 * strength)[..., :3]
    grey = np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2)
    share = _STRONGEST * np.abs(strength)[..., None]
    return np.round((1 - share) * grey + share * colours).astype(np.uint8)
