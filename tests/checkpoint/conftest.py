"""Stand-ins for published files: a small TResNet whose keys are renamed as the others name them."""

import copy
import re

import pytest
import torch

from tresnet_mm.models import TResNet

ARCH = dict(depths=(1, 2, 1, 2), width=0.25, blocks=('basic', 'basic', 'bottleneck', 'bottleneck'))
CLASSES = 5


def make_backbone(norm: str = 'InPlaceABN', seed: int = 0, arch=None, **kwargs) -> TResNet:
    """A small network with trained-looking norm layers, every fifth scale of them negative."""
    torch.manual_seed(seed)
    net = TResNet(arch=arch or ARCH, norm_cfg=dict(type=norm), **kwargs)
    for name, value in net.state_dict().items():
        if name.endswith('bn.weight'):
            value.uniform_(0.5, 1.5)
            value[::5] *= -1
        elif name.endswith(('bn.bias', 'running_mean')):
            value.normal_(std=0.2)
        elif name.endswith('running_var'):
            value.uniform_(0.5, 1.5)
    return net.eval()


def official_keys(state_dict: dict) -> dict:
    """Key names of the TResNet, ASL and ML-Decoder repositories."""
    out = {}
    for key, value in state_dict.items():
        # A blur follows the strided convolution: that one is nested one level deeper.
        blurred = re.match(r'layer2\.0\.conv1|layer[34]\.0\.conv2', key)
        conv, norm = ('.0.0.', '.0.1.') if blurred else ('.0.', '.1.')
        if '.downsample.' in key:  # behind an average pooling, which all stages but the first have
            key = key.replace('.proj.conv.', '.1.0.').replace('.proj.bn.', '.1.1.')
        key = key.replace('.conv.', conv).replace('.bn.', norm)
        out['body.' + key] = value.clone()
    return out


def timm_keys(state_dict: dict) -> dict:
    """Key names of timm."""
    return {'body.' + key.replace('downsample.proj', 'downsample.1'): value.clone()
            for key, value in state_dict.items()}


def linear_head(channels: int) -> dict:
    return {'head.fc.weight': torch.randn(CLASSES, channels), 'head.fc.bias': torch.randn(CLASSES)}


@pytest.fixture
def abn_net() -> TResNet:
    return make_backbone('InPlaceABN')


@pytest.fixture
def bn_net() -> TResNet:
    return make_backbone('BN')


@pytest.fixture
def official(abn_net) -> dict:
    """A whole published state dict with the values of `abn_net`."""
    return official_keys(abn_net.state_dict()) | linear_head(abn_net.out_channels[-1])


@pytest.fixture
def timm(bn_net) -> dict:
    """The same in timm's format, with the values of `bn_net`."""
    return timm_keys(bn_net.state_dict()) | linear_head(bn_net.out_channels[-1])


@pytest.fixture
def make():
    """`make_backbone`, for tests that need another one."""
    return make_backbone


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(2, 3, 64, 64)


@pytest.fixture
def assert_same():
    """Check that two networks compute the same in eval mode and in training mode."""

    def check(net, reference, images, tolerance=1e-5):
        net, reference = copy.deepcopy(net), copy.deepcopy(reference)  # training moves statistics
        for mode in (False, True):
            net.train(mode)
            reference.train(mode)
            with torch.no_grad():
                for a, b in zip(net(images), reference(images), strict=True):
                    assert (a - b).abs().max() <= tolerance * b.abs().max()

    return check
