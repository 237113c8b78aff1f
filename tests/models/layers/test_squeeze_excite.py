"""SqueezeExcite and the convolution behind it, against their definitions under autograd."""

import copy

import pytest
import torch
from torch import nn

from tresnet_mm.models.layers import SqueezeExcite, gated_conv2d


def test_gates_scale_whole_channels():
    layer, x = SqueezeExcite(6, 3), torch.randn(2, 6, 5, 4)
    gate = layer.gate(x)
    hidden = torch.relu(x.mean((2, 3)) @ layer.fc1.weight[:, :, 0, 0].T + layer.fc1.bias)
    expected = torch.sigmoid(hidden @ layer.fc2.weight[:, :, 0, 0].T + layer.fc2.bias)
    torch.testing.assert_close(gate[:, :, 0, 0], expected)
    torch.testing.assert_close(layer(x), x * expected[:, :, None, None])


@pytest.mark.parametrize('bias', [False, True])
@pytest.mark.parametrize('frozen', [False, True])
def test_gated_convolution_equals_convolution_of_the_product(bias, frozen):
    conv = nn.Conv2d(4, 5, 3, padding=1, stride=2, bias=bias).double()
    conv.weight.requires_grad = not frozen
    plain = copy.deepcopy(conv)
    x, gate = torch.randn(2, 4, 6, 6).double(), torch.rand(2, 4, 1, 1).double()
    ours = [x.clone().requires_grad_(), gate.clone().requires_grad_()]
    theirs = [x.clone().requires_grad_(), gate.clone().requires_grad_()]
    y, expected = gated_conv2d(*ours, conv), plain(theirs[0] * theirs[1])
    torch.testing.assert_close(y, expected)
    y.square().sum().backward()
    expected.square().sum().backward()
    torch.testing.assert_close([t.grad for t in ours], [t.grad for t in theirs])
    for parameter, other in zip(conv.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, other.grad)


def test_gated_convolution_keeps_no_product():
    conv, x = nn.Conv2d(8, 4, 1, bias=False), torch.randn(2, 8, 6, 6, requires_grad=True)
    gate = torch.rand(2, 8, 1, 1, requires_grad=True)
    kept = {}
    with torch.autograd.graph.saved_tensors_hooks(
            lambda t: kept.setdefault(t.untyped_storage().data_ptr(), t), lambda t: t):
        gated_conv2d(x, gate, conv)
    pointers = {t.untyped_storage().data_ptr() for t in (x, gate, conv.weight)}
    assert set(kept) == pointers


def test_gated_convolution_under_autocast():
    conv = nn.Conv2d(8, 4, 1, bias=False)
    x = torch.randn(2, 8, 6, 6, requires_grad=True)
    gate = torch.rand(2, 8, 1, 1)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        y = gated_conv2d(x.bfloat16(), gate, conv)
        expected = conv(x.bfloat16() * gate.bfloat16())
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y, expected)
    y.float().sum().backward()
    assert conv.weight.grad.dtype == torch.float32
