"""Winograd's algorithm against PyTorch's convolution, in float64 to the last digits."""

import pytest
import torch
from torch import Tensor

from tresnet_mm.models.layers import winograd

FORMATS = [torch.contiguous_format, torch.channels_last]
# Whole tiles, ragged ones on either side, maps smaller than a tile and than a filter.
SIZES = [(8, 12), (9, 11), (7, 16), (3, 3), (1, 2)]


def tensors(n: int, c: int, o: int, h: int, w: int) -> tuple[Tensor, Tensor, Tensor]:
    """Input, filters and gradient of the output of a convolution."""
    return (torch.randn(n, c, h, w, dtype=torch.float64),
            torch.randn(o, c, 3, 3, dtype=torch.float64),
            torch.randn(n, o, h, w, dtype=torch.float64))


def reference_gradients(x: Tensor, weight: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of input and filters by PyTorch."""
    x, weight = x.clone().requires_grad_(), weight.clone().requires_grad_()
    return torch.autograd.grad(torch.conv2d(x, weight, padding=1), (x, weight), grad)


def assert_equals_pytorch(x: Tensor, weight: Tensor, grad: Tensor) -> None:
    o, c = weight.shape[:2]
    y = winograd.convolve(x, winograd.lift_weight(weight), o)
    torch.testing.assert_close(y, torch.conv2d(x, weight, padding=1))
    grad_x, grad_weight = reference_gradients(x, weight, grad)
    back = winograd.convolve(grad, winograd.lift_weight(weight, transposed=True), c)
    torch.testing.assert_close(back, grad_x)
    torch.testing.assert_close(winograd.weight_gradient(x, grad), grad_weight)


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('memory_format', FORMATS)
def test_all_passes_equal_pytorch(size, memory_format):
    x, weight, grad = tensors(2, 5, 7, *size)
    assert_equals_pytorch(*(t.contiguous(memory_format=memory_format) for t in (x, weight, grad)))


@pytest.mark.parametrize('size', SIZES)
def test_results_in_parts_are_the_same(size, monkeypatch):
    """One image and 64 channels at a time, of five images and up to 150 channels."""
    monkeypatch.setattr(winograd, 'CHUNK_BYTES', 1)
    assert_equals_pytorch(*tensors(5, 130, 150, *size))
    assert len(list(winograd.lift_weight(torch.ones(150, 130, 3, 3)))) == 3


def test_parts_are_as_large_as_fits(monkeypatch):
    monkeypatch.setattr(winograd, 'CHUNK_BYTES', 4 * 36 * 6 * 64)
    assert winograd._images_at_once(torch.ones(9, 3, 8, 12), 64) == 1
    assert winograd._images_at_once(torch.ones(9, 3, 4, 8), 64) == 3
    assert winograd._channels_at_once(torch.ones(1), 3) == 128


@pytest.mark.parametrize('size', SIZES)
def test_the_bias_is_added_to_every_output(size):
    x, weight, _ = tensors(2, 5, 7, *size)
    bias = torch.randn(7, dtype=torch.float64)
    y = winograd.convolve(x, winograd.lift_weight(weight), 7, bias)
    torch.testing.assert_close(y, torch.conv2d(x, weight, bias, padding=1))


def test_the_inputs_are_left_alone():
    inputs = tensors(2, 5, 7, 8, 8)
    copies = [t.clone() for t in inputs]
    assert_equals_pytorch(*inputs)
    assert all(torch.equal(a, b) for a, b in zip(inputs, copies, strict=True))


def test_outputs_are_dense_in_channels_last():
    x, weight, grad = tensors(2, 5, 7, 9, 9)
    y = winograd.convolve(x, winograd.lift_weight(weight), 7)
    for t in (y, winograd.weight_gradient(x, grad)):
        assert t.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize('size', [(14, 14), (7, 7)])
def test_rounding_stays_small_in_float32(size):
    """Errors over the largest value; a direct convolution's are about 2e-6 here."""
    x, weight, grad = tensors(4, 128, 128, *size)
    x32, weight32, grad32 = x.float(), weight.float(), grad.float()
    lifted = winograd.lift_weight(weight32), winograd.lift_weight(weight32, transposed=True)
    grad_x, grad_weight = reference_gradients(x, weight, grad)
    for found, expected in [
            (winograd.convolve(x32, lifted[0], 128), torch.conv2d(x, weight, padding=1)),
            (winograd.convolve(grad32, lifted[1], 128), grad_x),
            (winograd.weight_gradient(x32, grad32), grad_weight)]:
        assert float((found - expected).abs().max() / expected.abs().max()) < 2e-5


def test_tiles_and_coverage():
    assert winograd.num_tiles((3, 64, 8, 9)) == 3 * 2 * 3
    assert winograd.coverage((3, 64, 8, 9)) == 72 / 96
    assert winograd.coverage((1, 64, 4, 4)) == 1
