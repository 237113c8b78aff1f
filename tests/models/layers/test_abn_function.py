"""Which kernel takes the statistics, and what they are, whatever the input's dtype and layout."""

import itertools

import pytest
import torch
import torch.distributed as dist

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


@pytest.fixture
def pair_of_processes(monkeypatch):
    """Two processes with the same batch: what each sends comes back twice."""
    def all_gather(gathered, local, group):
        for one in gathered:
            one.copy_(local)

    monkeypatch.setattr(dist, 'get_world_size', lambda group: 2)
    monkeypatch.setattr(dist, 'all_gather', all_gather)
    monkeypatch.setattr(dist, 'all_reduce', lambda values, group: values.mul_(2))
    monkeypatch.setattr(InPlaceABN, '_group', lambda self: object())


def step(needs=(True, True, True), training=True, twice=False, **kwargs):
    """The layer, and the gradients of input, weight and bias, of the batch or of it twice."""
    torch.manual_seed(0)
    layer = InPlaceABN(3, **kwargs).double().train(training)
    with torch.no_grad():
        layer.weight.uniform_(-1.5, 1.5)
        layer.bias.normal_()
    x = torch.randn(2, 3, 4, 4, dtype=torch.double)
    factors = torch.linspace(-1, 1, x.numel(), dtype=torch.double).view_as(x)
    leaves = x.repeat(2, 1, 1, 1) if twice else x, layer.weight, layer.bias
    for leaf, need in zip(leaves, needs, strict=True):
        leaf.requires_grad_(need)
    (layer(leaves[0]) * (factors.repeat(2, 1, 1, 1) if twice else factors)).sum().backward()
    return layer, [leaf.grad for leaf in leaves]


SOME = list(itertools.product([True, False], repeat=3))[:-1]


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('needs', SOME, ids=str)
def test_gradients_of_what_needs_them(needs, training):
    """Of input, weight and bias, as a frozen stage or a frozen norm has it: the same, or none."""
    for found, whole, need in zip(step(needs, training)[1], step(training=training)[1], needs,
                                  strict=True):
        assert torch.equal(found, whole) if need else found is None


@pytest.mark.parametrize('needs', SOME, ids=str)
@pytest.mark.parametrize('activation, param', [('leaky_relu', 0.1), ('elu', 0.5)])
def test_two_processes_with_the_same_batch(needs, activation, param, pair_of_processes,
                                           monkeypatch):
    """The parameters' gradients are of a process's own batch, which DDP adds up."""
    settings = dict(activation=activation, activation_param=param)
    layer, grads = step(needs, **settings)
    monkeypatch.undo()
    expected, (grad_x, grad_weight, grad_bias) = step(twice=True, **settings)
    for found, whole, need in zip(grads, (grad_x[:2], grad_weight / 2, grad_bias / 2), needs,
                                  strict=True):
        if need:
            torch.testing.assert_close(found, whole)
        else:
            assert found is None
    torch.testing.assert_close(layer.running_mean, expected.running_mean)
    torch.testing.assert_close(layer.running_var, expected.running_var)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_an_elu_on_its_asymptote_has_a_finite_gradient(dtype):
    """Rounding has put the output on -alpha there, which no input has."""
    layer = InPlaceABN(1, activation='elu', activation_param=0.5).to(dtype)
    with torch.no_grad():
        layer.weight.fill_(1000)
    x = torch.linspace(-1, 1, 16, dtype=dtype).view(1, 1, 4, 4).requires_grad_()
    y = layer(x)
    assert (y == -0.5).sum() > 4
    y.sum().backward()
    assert x.grad.isfinite().all() and layer.weight.grad.isfinite().all()


def test_the_average_of_all_batches_reads_nothing_from_the_device():
    """Its weight comes from a count that lies there."""
    layer = InPlaceABN(3, momentum=None)
    with Readbacks('cpu') as reads:
        layer(torch.randn(2, 3, 4, 4))
    assert reads.ours == []
