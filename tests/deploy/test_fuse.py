"""Folded models against the models they were made from."""

import copy
import pickle

import pytest
import torch
from mmcv.cnn import ConvModule
from torch import nn

from tresnet_mm.deploy import FusedConv2d, fuse
from tresnet_mm.deploy.fuse import fold_norm
from tresnet_mm.models.layers import InPlaceABN, fast_conv
from tresnet_mm.models.tresnet import TResNet

ARCH = dict(depths=(1, 2, 2, 1), width=0.25)


@pytest.fixture(autouse=True)
def winograd(monkeypatch) -> None:
    """Winograd's algorithm on every processor, also where it is not used."""
    monkeypatch.setattr(fast_conv, 'WINOGRAD', True)


def randomise(model: nn.Module) -> nn.Module:
    """Statistics and affine parameters as after training, negative weights included."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            if isinstance(module, InPlaceABN):
                module.weight.data[::3] *= -1
            nn.init.normal_(module.bias, std=0.2)
            nn.init.normal_(module.running_mean, std=0.2)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    return model.eval()


def assert_close(found, expected, tolerance=1e-4):
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        assert float((a - b).abs().max() / b.abs().max()) < tolerance


@pytest.mark.parametrize('blocks', [('basic', 'basic', 'bottleneck', 'bottleneck'),
                                    ('bottleneck',) * 4])
@pytest.mark.parametrize('norm', ['InPlaceABN', 'BN'])
@pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last])
def test_a_fused_backbone_agrees(blocks, norm, memory_format):
    model = randomise(TResNet(dict(ARCH, blocks=blocks), norm_cfg=dict(type=norm)))
    fused = fuse(model).to(memory_format=memory_format)
    x = torch.rand(2, 3, 70, 51).to(memory_format=memory_format)
    with torch.no_grad():
        expected, found = model(x), fused(x)
        assert_close(found, expected)
        assert_close(fused(x), expected)  # nothing was overwritten by the first call


@pytest.mark.parametrize('strides, dilations', [((1, 2, 2, 1), (1, 1, 1, 2)),
                                                ((1, 2, 1, 1), (1, 1, 2, 4))])
def test_dilated_networks_agree(strides, dilations):
    model = randomise(TResNet(ARCH, strides=strides, dilations=dilations))
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert_close(fuse(model)(x), model(x))


def test_the_published_arch_agrees():
    model = randomise(TResNet('m'))
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected, found = model(x), fuse(model)(x)
    assert_close(found, expected)


def test_the_plain_path_agrees_with_the_onednn_path():
    fused = fuse(randomise(TResNet(ARCH)))
    x = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        fast = fused(x)
        with torch.backends.mkldnn.flags(enabled=False):
            plain = fused(x)
        assert_close(fast, plain)
        assert_close([f.double() for f in fast], fused.double()(x.double()))


def test_no_norm_is_left_and_the_report_says_so():
    fused = fuse(TResNet(ARCH))
    report = fused.fuse_report
    assert not [m for m in fused.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    assert (report.blocks, report.bn, report.left) == (6, 0, [])
    # stem, per basic block 2, per bottleneck 3, and a shortcut in stages 2 to 4
    assert report.abn == 1 + 3 * 2 + 3 * 3 + 3
    assert f'{report.abn} in-place ABNs' in str(report)


def test_the_model_itself_changes_only_if_asked():
    model = randomise(TResNet(ARCH)).train()
    before = copy.deepcopy(model.state_dict())
    assert fuse(model) is not model
    assert model.training
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key])
    assert fuse(model, inplace=True) is model
    assert not model.training and 'conv1.bn.weight' not in model.state_dict()


def test_norms_of_other_parts_are_folded_and_what_cannot_be_is_named():
    conv_bn = ConvModule(4, 6, 3, padding=1, norm_cfg=dict(type='BN'))
    elu = ConvModule(6, 6, 1, act_cfg=None, norm_cfg=dict(
        type='InPlaceABN', activation='elu', activation_param=1.0))
    both = ConvModule(6, 6, 1, norm_cfg=dict(type='InPlaceABN'), act_cfg=dict(type='ReLU'))
    gn = ConvModule(6, 6, 1, norm_cfg=dict(type='GN', num_groups=2))
    first = ConvModule(6, 6, 1, norm_cfg=dict(type='BN'), order=('norm', 'conv', 'act'))
    model = randomise(nn.Sequential(conv_bn, elu, both, gn, first))
    fused = fuse(model)
    x = torch.randn(2, 4, 9, 9)
    with torch.no_grad():
        assert_close([fused(x)], [model(x)])
    assert (fused.fuse_report.bn, fused.fuse_report.abn) == (1, 2)
    assert len(fused.fuse_report.left) == 1 and fused.fuse_report.left[0].startswith('4.bn')


def test_a_convolution_shared_by_several_norms_is_left_alone():
    first = ConvModule(4, 4, 3, padding=1, norm_cfg=dict(type='BN'))
    second = ConvModule(4, 4, 3, padding=1, norm_cfg=dict(type='BN'))
    second.conv = first.conv
    model = randomise(nn.Sequential(first, second))
    fused = fuse(model)
    x = torch.randn(1, 4, 8, 8)
    with torch.no_grad():
        assert_close([fused(x)], [model(x)])
    assert len(fused.fuse_report.left) == 2


def test_a_fused_convolution_follows_its_weights_and_can_be_copied():
    conv = FusedConv2d(nn.Conv2d(3, 5, 3, padding=1), activation='leaky_relu', slope=0.1)
    x = torch.randn(1, 3, 8, 8)
    with torch.no_grad():
        conv(x)
        conv.weight.mul_(2)
        expected = nn.functional.leaky_relu(nn.Conv2d.forward(conv, x), 0.1)
        torch.testing.assert_close(conv(x), expected)
        torch.testing.assert_close(copy.deepcopy(conv)(x), expected)
        torch.testing.assert_close(pickle.loads(pickle.dumps(conv))(x), expected)
        residual = torch.randn(1, 5, 8, 8).to(memory_format=torch.channels_last)
        plain = FusedConv2d(conv)
        torch.testing.assert_close(
            plain(x, residual.clone(memory_format=torch.preserve_format)),
            (nn.Conv2d.forward(conv, x) + residual).relu())


def test_an_unknown_activation_is_refused():
    with pytest.raises(ValueError, match="'none', 'relu', 'leaky_relu'.*'gelu'"):
        FusedConv2d(nn.Conv2d(3, 3, 1), activation='gelu')


@pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize('activation', ['none', 'relu', 'leaky_relu'])
def test_a_fused_convolution_by_winograds_algorithm(activation, memory_format):
    conv = FusedConv2d(nn.Conv2d(96, 128, 3, padding=1), activation=activation, slope=0.1)
    x, residual = torch.randn(2, 96, 18, 18), torch.randn(2, 128, 18, 18)
    conv, x, residual = (t.to(memory_format=memory_format) for t in (conv, x, residual))
    act = dict(none=nn.Identity(), relu=nn.ReLU(), leaky_relu=nn.LeakyReLU(0.1))[activation]
    for _ in range(2):
        with torch.no_grad():
            expected, found = act(nn.Conv2d.forward(conv, x)), conv(x)
            assert_close([found], [expected], 2e-5)
            assert found.stride() == expected.stride()
            if activation == 'none':
                added = (expected + residual).relu()
                assert_close([conv(x, residual.clone())], [added], 2e-5)
            assert conv._lifted is not None
            conv.weight.mul_(0.5)  # the second time it has to follow
    assert copy.deepcopy(conv)._lifted is None


@pytest.mark.parametrize('size', [(8, 8), (1, 1), (1, 6)])
@pytest.mark.parametrize('channels', [1, 5])
def test_a_residual_of_another_layout_is_added_all_the_same(channels, size):
    conv, x = FusedConv2d(nn.Conv2d(3, channels, 3, padding=1)), torch.randn(2, 3, *size)
    plain = torch.randn(2, channels, *size)
    with torch.no_grad():
        expected = (nn.Conv2d.forward(conv, x) + plain).relu()
        for residual in (plain.clone(), plain.clone(memory_format=torch.channels_last),
                         plain.transpose(2, 3).contiguous().transpose(2, 3)):
            assert_close([conv(x, residual)], [expected], 2e-5)


@pytest.mark.parametrize('bias', [True, False])
@pytest.mark.parametrize('affine', [True, False])
def test_a_norm_folded_into_a_convolution(affine, bias):
    conv, norm = nn.Conv2d(3, 5, 3, bias=bias), nn.BatchNorm2d(5, affine=affine).eval()
    nn.init.normal_(norm.running_mean)
    nn.init.uniform_(norm.running_var, 0.5, 2)
    if affine:
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias)
    x = torch.randn(2, 3, 6, 6)
    with torch.no_grad():
        assert_close([nn.functional.conv2d(x, *fold_norm(conv, norm))], [norm(conv(x))], 1e-5)
    with pytest.raises(ValueError, match='without running statistics cannot be folded'):
        fold_norm(conv, nn.BatchNorm2d(5, track_running_stats=False))


def test_norms_that_stay_are_named():
    standardised = ConvModule(3, 4, 1, conv_cfg=dict(type='ConvWS'), norm_cfg=dict(type='BN'))
    unknown = ConvModule(4, 4, 1, norm_cfg=dict(type='BN', track_running_stats=False))
    model = nn.Sequential(standardised, unknown).eval()
    fused = fuse(model)
    x = torch.randn(2, 3, 5, 5)
    with torch.no_grad():
        assert_close([fused(x)], [model(x)])
    assert fused.fuse_report.left == ['0.bn (its convolution is a ConvWS2d)',
                                      '1.bn (it has no running statistics)']


def test_a_block_with_a_norm_that_stays_is_not_joined():
    model = randomise(TResNet(ARCH, norm_cfg=dict(type='BN')))
    norm = model.layer1[0].conv1.bn
    norm.running_mean = norm.running_var = None
    fused = fuse(model)
    x = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        assert_close(fused(x), model(x))
    assert fused.fuse_report.blocks == 5
    assert fused.fuse_report.left == ['layer1.0.conv1.bn (it has no running statistics)']


def test_gradients_go_through_a_fused_convolution():
    conv = nn.Conv2d(3, 4, 3)
    fused = FusedConv2d(conv, activation='leaky_relu', slope=0.1)
    x = torch.randn(2, 3, 6, 6, requires_grad=True)
    wanted, = torch.autograd.grad(nn.functional.leaky_relu(conv(x), 0.1).sum(), x)
    found, = torch.autograd.grad(fused(x).sum(), x)
    torch.testing.assert_close(found, wanted)
    assert repr(fused) == ("FusedConv2d(3, 4, kernel_size=(3, 3), stride=(1, 1), "
                           "activation='leaky_relu', slope=0.1)")
