"""BlurPool2d against a padded convolution."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lines import needs_compiler, needs_half_on_cpu
from tresnet_mm.models.layers import BlurPool2d

FILTER = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16


def reference(x: torch.Tensor) -> torch.Tensor:
    """Convolve every channel on its own, with reflected borders."""
    n, c, h, w = x.shape
    padded = F.pad(x.reshape(n * c, 1, h, w), (1, 1, 1, 1), mode='reflect')
    out = F.conv2d(padded, FILTER.to(x.dtype)[None, None], stride=2)
    return out.reshape(n, c, *out.shape[2:])


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 11), st.integers(2, 11), st.integers(1, 3), st.booleans())
def test_equals_padded_convolution(h, w, channels, channels_last):
    x = torch.randn(2, channels, h, w, dtype=torch.double)
    if channels_last:
        x = x.to(memory_format=torch.channels_last)
    layer = BlurPool2d(channels)
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    y, expected = layer(ours), reference(theirs)
    factors = torch.randn_like(expected)
    (y * factors).sum().backward()
    (expected * factors).sum().backward()
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(ours.grad, theirs.grad)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), expected.detach())


def test_keeps_nothing_of_the_input_for_backward():
    x = torch.randn(2, 4, 16, 16, requires_grad=True)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        BlurPool2d(4)(x)
    assert all(t.numel() <= 4 * 9 for t in kept)


def test_state_dict_is_empty():
    assert not BlurPool2d(4).state_dict()


@pytest.mark.parametrize('dtype', [
    torch.bfloat16, pytest.param(torch.float16, marks=needs_half_on_cpu)])
def test_half_precision(dtype):
    x = torch.randn(2, 4, 8, 8).to(dtype).requires_grad_()
    y = BlurPool2d(4)(x)
    y.sum().backward()
    assert y.dtype == x.grad.dtype == dtype
    torch.testing.assert_close(y.float(), reference(x.detach().float()), rtol=0.02, atol=0.02)


def test_trains_under_autocast():
    x = torch.randn(2, 4, 8, 8, requires_grad=True)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        BlurPool2d(4)(x).float().sum().backward()
    assert x.grad.dtype == torch.float32


@needs_compiler
def test_compiles_without_graph_break():
    layer = BlurPool2d(4)
    compiled = torch.compile(layer, backend='aot_eager', fullgraph=True)
    x = torch.randn(2, 4, 8, 9, requires_grad=True)
    torch.testing.assert_close(compiled(x), layer(x))
    torch.testing.assert_close(
        torch.autograd.grad(compiled(x).square().sum(), x),
        torch.autograd.grad(layer(x).square().sum(), x))
