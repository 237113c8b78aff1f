"""Conversion of the published formats, against networks whose keys were renamed by hand."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tresnet_mm.checkpoint import convert
from tresnet_mm.checkpoint.norms import ABN_EPS, abn_to_bn, bn_to_abn
from tresnet_mm.models import ARCHS, TResNet

FILTER = torch.tensor([[1., 2, 1], [2, 4, 2], [1, 2, 1]]) / 16


def backbone_of(converted) -> dict:
    return {k.removeprefix('backbone.'): v for k, v in converted.state_dict.items()
            if k.startswith('backbone.')}


def load(converted, norm='InPlaceABN') -> TResNet:
    net = TResNet(arch=converted.arch, norm_cfg=dict(type=norm)).eval()
    net.load_state_dict(backbone_of(converted))
    return net


@pytest.mark.parametrize('norm', ['InPlaceABN', 'BN'])
@pytest.mark.parametrize('family', ['official', 'timm'])
def test_converted_network_computes_the_same(family, norm, request, images, assert_same):
    converted = convert(request.getfixturevalue(family), norm=norm)
    reference = request.getfixturevalue('abn_net' if family == 'official' else 'bn_net')
    assert converted.norm == norm
    assert converted.num_classes == 5 and converted.head == 'linear' and converted.in_channels == 3
    assert_same(load(converted, norm), reference, images)


def test_fields_of_a_custom_arch(official):
    converted = convert(official)
    assert converted.arch == dict(
        depths=(1, 2, 1, 2), width=0.25, blocks=('basic', 'basic', 'bottleneck', 'bottleneck'))
    assert converted.family == 'tresnet'
    assert converted.classes is None
    assert converted.num_groups is None


@pytest.mark.parametrize('arch', list(ARCHS))
def test_arch_is_told_from_shapes(arch):
    with torch.device('meta'):
        net = TResNet(arch=arch)
    # Meta tensors have shapes and no values, so the norms must not need converting.
    converted = convert(net.state_dict())
    assert converted.arch == arch
    assert converted.family == 'ours' and converted.head is None and converted.num_classes is None


def test_same_name_two_networks():
    """ML-Decoder's tresnet_l is v2_l: taking it for l is an error that names both."""
    with torch.device('meta'):
        state_dict = TResNet(arch='v2_l').state_dict()
    with pytest.raises(ValueError, match="of arch 'v2_l', not 'l'"):
        convert(state_dict, arch='l')


@pytest.mark.parametrize('wrap', [
    lambda sd: sd,
    lambda sd: {'model': sd},
    lambda sd: {'state_dict': sd, 'epoch': 3, 'optimizer': {'state': {}}},
    lambda sd: {'model_ema': sd},
    lambda sd: {'state_dict_ema': sd, 'args': None},
    lambda sd: {'model': {'state_dict': sd}},
    lambda sd: {'module.' + k: v for k, v in sd.items()},
    lambda sd: {'state_dict': {'model.module.' + k: v for k, v in sd.items()}},
    lambda sd: {'_orig_mod.' + k: v for k, v in sd.items()},
    lambda sd: {'ema_state_dict': {'module.' + k: v for k, v in sd.items()}
                | {'steps': torch.tensor(7)}},
    lambda sd: {k: v for k, v in sd.items() if not k.endswith('num_batches_tracked')},
    lambda sd: {k: v for k, v in sd.items() if not k.startswith('head.')},
    lambda sd: {k.removeprefix('body.'): v for k, v in sd.items() if not k.startswith('head.')},
], ids=['plain', 'model', 'state_dict', 'model_ema', 'state_dict_ema', 'nested', 'module',
        'model.module', 'compiled', 'averaged', 'no-counters', 'no-head', 'bare'])
@pytest.mark.parametrize('family', ['official', 'timm'])
def test_wrappers_and_prefixes(family, wrap, request):
    state_dict = request.getfixturevalue(family)
    want = convert(state_dict)
    got = convert(wrap(state_dict))
    assert got.arch == want.arch and got.norm == want.norm
    assert set(backbone_of(got)) == set(backbone_of(want))
    for key, value in backbone_of(got).items():
        if key.endswith('num_batches_tracked'):
            assert value.dtype == torch.int64
        else:
            assert torch.equal(value, want.state_dict['backbone.' + key]), key


def test_plain_weights_come_before_averaged_ones(official):
    other = {k: v + 1 for k, v in official.items()}
    converted = convert({'model_ema': other, 'model': official})
    assert torch.equal(converted.state_dict['head.fc.bias'], official['head.fc.bias'])


def test_stored_blur_filters_are_left_out(official, timm):
    plain = convert(official).state_dict
    stored = official | {'body.layer2.0.conv1.1.filt': FILTER.expand(32, 1, 3, 3)}
    assert list(convert(stored).state_dict) == list(plain)
    stored = timm | {'body.layer3.0.conv2.aa.filt': FILTER.expand(64, 1, 3, 3)}
    assert list(convert(stored).state_dict) == list(convert(timm).state_dict)


def test_another_blur_filter_is_another_network(official):
    official['body.layer2.0.conv1.1.filt'] = torch.full((32, 1, 3, 3), 1 / 9)
    with pytest.raises(ValueError, match='body.layer2.0.conv1.1.filt is not the fixed'):
        convert(official)


def test_asl_class_names(official):
    names = ['cat', 'dog', 'cow', 'car', 'bus']
    converted = convert({'model': official, 'num_classes': 5,
                         'idx_to_class': dict(reversed(list(enumerate(names))))})
    assert converted.family == 'asl'
    assert converted.classes == tuple(names)


def test_bottleneck_head(official):
    weight, bias = official.pop('head.fc.weight'), official.pop('head.fc.bias')
    embedding = torch.randn(7, weight.shape[1])
    official |= {'head.fc.embedding_generator.0.weight': embedding,
                 'head.fc.embedding_generator.0.bias': torch.randn(7),
                 'head.fc.FC.weight': weight[:, :7], 'head.fc.FC.bias': bias}
    converted = convert(official)
    assert (converted.family, converted.head, converted.num_classes) == ('asl', 'bottleneck', 5)
    assert torch.equal(converted.state_dict['head.embedding.weight'], embedding)
    assert torch.equal(converted.state_dict['head.fc.bias'], bias)


def test_own_format_is_left_as_it_is(abn_net):
    trained = {'backbone.' + k: v for k, v in abn_net.state_dict().items()}
    trained |= {'neck.w': torch.ones(1), 'bbox_head.w': torch.ones(1)}
    once = convert({'state_dict': trained, 'meta': {'epoch': 1}})
    assert once.family == 'ours'
    twice = convert(once.state_dict)
    for result in (once, twice):
        assert list(result.state_dict) == list(trained)
        assert all(torch.equal(result.state_dict[k], v) for k, v in trained.items())


def test_converted_is_converted_to_itself(timm):
    once = convert(timm)
    twice = convert(once.state_dict)
    assert all(torch.equal(v, twice.state_dict[k]) for k, v in once.state_dict.items())
    assert twice[1:3] == once[1:3] and twice[4:] == once[4:]


def test_own_format_knows_its_norm(bn_net, images, assert_same):
    """A state dict says which norm layer it is for, so either is converted to the other."""
    abn = load(convert(bn_net.state_dict(), norm='InPlaceABN'))
    assert_same(abn, bn_net, images)
    back = load(convert(abn.state_dict(), norm='BN'), 'BN')
    assert_same(back, abn, images)


def test_negative_scale_moves_into_the_convolution(timm):
    filters = timm['body.layer1.0.conv1.conv.weight']
    mean = timm['body.layer1.0.conv1.bn.running_mean']
    out = convert(timm).state_dict
    sign = torch.where(timm['body.layer1.0.conv1.bn.weight'] < 0, -1., 1.)
    assert (sign < 0).any()
    assert torch.equal(out['backbone.layer1.0.conv1.conv.weight'],
                       filters * sign[:, None, None, None])
    assert torch.equal(out['backbone.layer1.0.conv1.bn.running_mean'], mean * sign)


@given(st.floats(-4, 4, width=32))
def test_scale_survives_both_directions(scale):
    """ABN's scale is never below eps; from there on it is batch norm's to the last digit or so."""
    expected = max(abs(scale), ABN_EPS)
    weight = bn_to_abn(torch.tensor([scale]))
    assert weight >= 0
    assert abn_to_bn(weight).item() == pytest.approx(expected, rel=2e-7)
    assert (weight.abs() + ABN_EPS).item() == pytest.approx(expected, rel=2e-7)


def test_missing_and_unknown_keys_are_named(official):
    del official['body.layer3.0.conv2.0.1.running_var']
    official['body.layer9.surprise'] = torch.ones(1)
    official['decoder.surprise'] = torch.ones(1)
    with pytest.raises(ValueError) as error:
        convert(official)
    for name in ('missing layer3.0.conv2.bn.running_var', 'unmapped body.layer9.surprise',
                 'unmapped decoder.surprise'):
        assert name in str(error.value)


def test_many_missing_keys_are_counted(official):
    short = {k: v for k, v in official.items() if 'running_mean' not in k}
    with pytest.raises(ValueError, match=r'missing conv1.bn.running_mean.*and \d+ more'):
        convert(short)


def test_wrong_shape_is_named(official):
    official['body.layer1.0.se.fc1.weight'] = torch.ones(3, 16, 1, 1)
    with pytest.raises(ValueError, match=r'layer1.0.se.fc1.weight is \(3, 16, 1, 1\) instead of '
                                         r'\(64, 16, 1, 1\)'):
        convert(official)


def test_missing_stage_is_named(official):
    short = {k: v for k, v in official.items() if 'layer4' not in k}
    with pytest.raises(ValueError, match='no layer4'):
        convert(short)


def test_incomplete_head_is_named(official):
    del official['head.fc.bias']
    with pytest.raises(ValueError, match='missing head.fc.bias'):
        convert(official)


def test_second_decoder_layer_is_not_dropped(official):
    official['head.decoder.layers.1.norm1.weight'] = torch.ones(4)
    with pytest.raises(ValueError, match='unmapped head.decoder.layers.1.norm1.weight'):
        convert(official)


def test_other_networks_are_refused():
    resnet = {'conv1.weight': torch.ones(64, 3, 7, 7), 'layer1.0.conv1.weight': torch.ones(4)}
    with pytest.raises(ValueError, match='not a TResNet checkpoint.*conv1.weight'):
        convert(resnet)


@pytest.mark.parametrize('content', [{}, {'epoch': 3}, [1, 2], {'model': [1]}])
def test_no_state_dict(content):
    with pytest.raises(TypeError, match='expected a state dict'):
        convert(content)


def test_unknown_norm(official):
    with pytest.raises(ValueError, match="'InPlaceABN', 'BN'.*'GN'"):
        convert(official, norm='GN')
