"""Which kernel takes the statistics, and what they are, whatever the input's dtype and layout."""

import itertools

import pytest
import torch

from tests.models.readbacks import Readbacks
from tresnet_mm.models.layers import InPlaceABN
from tresnet_mm.models.layers.abn_function import (
    FEWEST_SIDE_BY_SIDE,
    FEWEST_VALUES,
    _has_fast_moments,
    _statistics,
)

#: Of so many channels the fewest values are side by side.
MANY = FEWEST_VALUES // FEWEST_SIDE_BY_SIDE


@pytest.mark.parametrize('x, fast', [
    (torch.empty(1, MANY, FEWEST_SIDE_BY_SIDE), True),
    (torch.empty(1, MANY, FEWEST_SIDE_BY_SIDE // 4, 4), True),
    (torch.empty(1, MANY, FEWEST_SIDE_BY_SIDE, dtype=torch.float64), True),
    (torch.empty(1, MANY, FEWEST_SIDE_BY_SIDE // 2, 1, 2), True),
    (torch.empty(1, MANY - 1, FEWEST_SIDE_BY_SIDE), False),
    (torch.empty(2, MANY, FEWEST_SIDE_BY_SIDE - 1), False),
    (torch.empty(FEWEST_VALUES, 1), False),  # no positions
    (torch.empty(1, MANY, FEWEST_SIDE_BY_SIDE, dtype=torch.bfloat16), False),
    (torch.empty(1, MANY, FEWEST_SIDE_BY_SIDE, device='meta'), False),
    (torch.empty(1, MANY, 8, 4).to(memory_format=torch.channels_last), False),
])
def test_where_group_norms_kernel_is_used(x, fast):
    assert _has_fast_moments(x) is fast


@pytest.mark.parametrize('shape', [(4, 3, 9, 7), (2, 4, 512, 64)])
@pytest.mark.parametrize('dtype, result', [
    (torch.float16, torch.float32), (torch.bfloat16, torch.float32),
    (torch.float32, torch.float32), (torch.float64, torch.float64)])
def test_statistics_are_at_least_float32(shape, dtype, result):
    x = (torch.randn(shape) * 3 + 5).to(dtype)
    mean, var = _statistics(x)
    assert mean.dtype == var.dtype == result
    expected_var, expected_mean = torch.var_mean(x.double(), (0, 2, 3), correction=0)
    tolerance = 1e-5 if result == torch.float32 else 1e-12
    torch.testing.assert_close(mean.double(), expected_mean, rtol=tolerance, atol=0)
    torch.testing.assert_close(var.double(), expected_var, rtol=tolerance, atol=0)


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('needed', list(itertools.product([True, False], repeat=3))[:-1], ids=str)
def test_gradients_of_what_needs_them(needed, training):
    """Of input, weight and bias, as a frozen stage or a frozen norm has it: the same, or none."""
    def run(needs):
        torch.manual_seed(0)
        layer = InPlaceABN(3).train(training)
        leaves = torch.randn(2, 3, 4, 4), layer.weight, layer.bias
        for leaf, need in zip(leaves, needs, strict=True):
            leaf.requires_grad_(need)
        y = layer(leaves[0])
        (y * torch.linspace(-1, 1, y.numel()).view_as(y)).sum().backward()
        return [leaf.grad for leaf in leaves]

    for found, whole, need in zip(run(needed), run([True] * 3), needed, strict=True):
        assert torch.equal(found, whole) if need else found is None


def test_the_average_of_all_batches_reads_nothing_from_the_device():
    """Its weight comes from a count that lies there."""
    layer = InPlaceABN(3, momentum=None)
    with Readbacks('cpu') as reads:
        layer(torch.randn(2, 3, 4, 4))
    assert reads.ours == []
