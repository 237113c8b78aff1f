"""Space-to-depth, the rearrangement in TResNet's stem."""

import torch.nn.functional as F
from torch import Tensor, nn

from .memory_format import channels_come_last


class SpaceToDepth(nn.Module):
    """Move each cell of pixels into the channels (TResNet, section 2.1).

    Output channel ``(row * block_size + col) * C + c`` holds channel ``c`` of the pixel at
    ``(row, col)`` of its cell: the order of the published weights. ``torch.pixel_unshuffle`` has
    the channel outermost instead, so that the two differ by a permutation.

    Args:
        block_size: Side of a cell in pixels.
    """

    def __init__(self, block_size: int = 4) -> None:
        super().__init__()
        self.block_size = block_size

    def forward(self, x: Tensor) -> Tensor:
        """Rearrange (N, C, H, W) to (N, C * b * b, H / b, W / b), in the same memory format.

        Raises:
            ValueError: If a side is no multiple of ``block_size``.
        """
        b = self.block_size
        n, c, h, w = x.shape
        if h % b or w % b:
            raise ValueError(f'SpaceToDepth needs sides divisible by {b}, got {h} x {w} pixels')
        if channels_come_last(x):
            cells = x.permute(0, 2, 3, 1).reshape(n, h // b, b, w // b, b, c)
            cells = cells.transpose(2, 3).reshape(n, h // b, w // b, b * b * c)
            return cells.permute(0, 3, 1, 2)
        cells = x.reshape(n, c, h // b, b, w // b, b)  # N C H/b row W/b col
        cells = cells.permute(0, 3, 5, 1, 2, 4)  # N row col C H/b W/b
        return cells.reshape(n, b * b * c, h // b, w // b)

    def extra_repr(self) -> str:
        return f'block_size={self.block_size}'


def pad_to_cells(x: Tensor, block_size: int = 4) -> Tensor:
    """Pad (N, C, H, W) with zeros at the right and bottom to multiples of ``block_size``.

    Has no condition in it, so that an exported graph pads sizes other than that of the example it
    was exported with.
    """
    h, w = x.shape[-2:]
    return F.pad(x, (0, -w % block_size, 0, -h % block_size))
