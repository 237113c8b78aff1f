"""SpaceToDepth against its definition and PyTorch's pixel_unshuffle."""

import pytest
import torch
import torch.nn.functional as F

from tresnet_mm.models.layers import SpaceToDepth


def test_channel_order_is_row_column_channel():
    x = torch.arange(2 * 3 * 8 * 12).reshape(2, 3, 8, 12)
    y = SpaceToDepth(4)(x)
    assert y.shape == (2, 48, 2, 3)
    for row, col, c in [(0, 0, 0), (1, 2, 0), (3, 3, 2), (0, 1, 1)]:
        expected = x[:, c, row::4, col::4]
        assert torch.equal(y[:, (row * 4 + col) * 3 + c], expected)


def test_is_a_permutation_of_pixel_unshuffle():
    x = torch.randn(2, 3, 8, 8)
    unshuffled = F.pixel_unshuffle(x, 4).reshape(2, 3, 16, 2, 2)  # N c cell H W
    assert torch.equal(SpaceToDepth(4)(x), unshuffled.transpose(1, 2).reshape(2, 48, 2, 2))


def test_the_memory_format_is_kept():
    x = torch.randn(2, 3, 8, 12)
    y, last = SpaceToDepth(4)(x), SpaceToDepth(4)(x.to(memory_format=torch.channels_last))
    assert torch.equal(y, last)
    assert y.is_contiguous() and last.is_contiguous(memory_format=torch.channels_last)


def test_indivisible_sides_are_named():
    with pytest.raises(ValueError, match='divisible by 4, got 8 x 10'):
        SpaceToDepth(4)(torch.zeros(1, 3, 8, 10))
