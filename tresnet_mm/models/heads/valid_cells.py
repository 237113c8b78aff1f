"""Which cells of a feature map see the image."""

from collections.abc import Sequence

import torch
from mmengine.structures import BaseDataElement
from torch import Tensor


def valid_cells(data_samples: Sequence[BaseDataElement] | Tensor | None,
                input_shape: Sequence[int], feature_shape: Sequence[int],
                device: torch.device | str | None = None) -> Tensor | None:
    """Tell which cells of a feature map see the image and which only see batch padding.

    Images of different size are padded at the right and bottom to share a batch. Pooling over the
    padding would make the scores of an image depend on its neighbours in the batch.

    Args:
        data_samples: One per image; the metainfo field ``img_shape`` (height, width) in pixels is
            read, a sample without it counts as unpadded. Or the heights and widths themselves,
            integers (N, 2), which a traced model computes with.
        input_shape: Height and width of the batch in pixels.
        feature_shape: Height and width of the feature map in cells.
        device: Where the answer is made; one made elsewhere would make the host wait to copy it.

    Returns:
        Boolean (N, height, width), True where the cell belongs to the image, or None where no
        image is padded (the common case, which then costs nothing; not asked of a tensor).
    """
    if isinstance(data_samples, Tensor):
        return _cells_of_sizes(data_samples, input_shape, feature_shape)
    (height, width), (rows, cols) = input_shape, feature_shape
    shapes = [tuple(s.metainfo.get('img_shape', (height, width))[:2]) for s in data_samples or ()]
    if all(h >= height and w >= width for h, w in shapes):
        return None
    valid = torch.zeros(len(shapes), rows, cols, dtype=torch.bool, device=device)
    for mask, (h, w) in zip(valid, shapes, strict=True):
        mask[:max(1, -(-h * rows // height)), :max(1, -(-w * cols // width))] = True
    return valid


def _cells_of_sizes(sizes: Tensor, input_shape: Sequence[int],
                    feature_shape: Sequence[int]) -> Tensor:
    """The cells by arithmetic alone, so that batch and sizes stay open in a traced graph."""
    inside = []
    for lengths, length, cells in zip(sizes.unbind(1), input_shape, feature_shape, strict=True):
        counts = torch.div(lengths * cells + length - 1, length, rounding_mode='floor')
        index = torch.arange(cells, device=sizes.device)
        inside.append(index < counts.clamp(min=1)[:, None])  # N, cells
    return inside[0][:, :, None] & inside[1][:, None]
