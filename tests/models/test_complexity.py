"""Multiply-adds against counts by hand."""

import pytest
import torch
from torch import nn

from benchmarks.experiments import arch_table
from tresnet_mm.models import TResNet
from tresnet_mm.models.complexity import complexity
from tresnet_mm.models.heads import MLDecoderHead
from tresnet_mm.models.layers import BlurPool2d, InPlaceABN

TINY = dict(depths=(1, 1, 1, 1), width=0.25)


@torch.no_grad()
def counted_by_hooks(model: nn.Module, size: int) -> int:
    """Outputs times the weights of each, for every convolution; nine for each blurred pixel."""
    total = 0

    def add(layer: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        nonlocal total
        total += output.numel() * (9 if isinstance(layer, BlurPool2d) else layer.weight[0].numel())

    for layer in model.modules():
        if isinstance(layer, (nn.Conv2d, BlurPool2d)):
            layer.register_forward_hook(add)
    model.eval()(torch.zeros(1, 3, size, size))
    return total


def test_the_published_network_by_hand():
    expected = counted_by_hooks(TResNet('m'), 224)
    assert complexity(TResNet('m'), torch.zeros(1, 3, 224, 224)).multiply_adds == expected
    assert round(expected / 1e9, 2) == 5.73  # the paper's repository says 5.5


@pytest.mark.parametrize('settings', [
    dict(), dict(norm_cfg=dict(type='BN')), dict(conv_cfg=dict(type='Conv2d'))])
def test_norms_and_algorithms_do_not_count(settings):
    """Winograd's algorithm, which is taken at this size, does fewer than are counted."""
    expected = counted_by_hooks(TResNet(dict(TINY, width=1.0)), 64)
    model = TResNet(dict(TINY, width=1.0), **settings)
    assert complexity(model, torch.zeros(1, 3, 64, 64)).multiply_adds == expected


def test_the_table_of_archs_counts_alike():
    macs = complexity(TResNet('m'), torch.zeros(1, 3, 64, 64)).multiply_adds
    assert arch_table.measure('m', size=64)[2] == macs / 1e9


def test_layers_by_hand():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(4, 8, 3, padding=1, groups=2)
            self.norm = InPlaceABN(8)
            self.fc = nn.Linear(8, 5)

        def forward(self, x, scale=None):
            assert scale == 2 and not self.training
            return self.fc(self.norm(self.conv(x)).mean((2, 3)))

    net = Net().train()
    found = complexity(net, torch.zeros(1, 4, 6, 7), scale=2)
    conv, linear = 8 * 6 * 7 * (4 // 2) * 9, 8 * 5
    assert found.parts == {'': conv + linear, 'conv': conv, 'norm': 0, 'fc': linear}
    assert found.multiply_adds == conv + linear
    assert not found.not_counted
    assert net.training and net.norm.training  # as it was
    assert 'forward' not in vars(net)


def test_attention_by_hand():
    classes, width, pixels, features = 6, 16, 5 * 4, 32
    head = MLDecoderHead(
        num_classes=classes, in_channels=features, embed_dims=width, num_heads=4,
        feedforward_channels=24, loss=dict(type='AsymmetricLoss'))

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = head

        def forward(self, x):
            return self.head.logits((x,))

    expected = (pixels * features * width  # the features' projection
                + 2 * pixels * width ** 2 + 2 * classes * width ** 2  # keys, values; queries, out
                + 2 * classes * pixels * width  # attention
                + 2 * classes * width * 24  # feed-forward
                + classes * width)  # logits
    assert complexity(Net(), torch.zeros(1, features, 5, 4)).multiply_adds == expected


def test_what_cannot_be_looked_into_is_named():
    class Opaque(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x @ x

    class Net(nn.Module):
        def forward(self, x):
            return Opaque.apply(Opaque.apply(x))

    found = complexity(Net(), torch.zeros(3, 3))
    assert found.multiply_adds == 0
    assert found.not_counted == {'prim::PythonOp.Opaque': 2}
