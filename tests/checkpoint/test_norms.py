"""Batch norm's scales as in-place ABN's weights and back, parameter by parameter."""

import pytest
import torch

from tresnet_mm.checkpoint.norms import ABN_EPS, abn_to_bn, bn_to_abn, convert_norms

#: One of each kind of scale: negative, zero, below eps, eps, above.
SCALES = torch.tensor([-2., 0., ABN_EPS / 2, ABN_EPS, 1.5])
SIGN = torch.tensor([-1., 1, 1, 1, 1])


def layer(scales=SCALES, **others) -> dict:
    return {'conv1.conv.weight': torch.arange(1., 11).reshape(5, 2, 1, 1),
            'conv1.bn.weight': scales, 'conv1.bn.bias': torch.arange(5.),
            'conv1.bn.running_mean': torch.arange(1., 6), **others}


def same(found: dict, expected: dict) -> bool:
    return found.keys() == expected.keys() and all(
        torch.equal(found[key], expected[key]) for key in expected)


def test_abn_to_bn_is_the_scale_that_the_layer_uses():
    weight = torch.tensor([-2., 0., 1.])
    assert abn_to_bn(weight).tolist() == pytest.approx([2.00001, 0.00001, 1.00001], rel=1e-7)
    assert abn_to_bn(weight).dtype == torch.float32


def test_bn_to_abn_is_never_below_zero():
    expected = [2 - 1e-5, 0, 0, 0, 1.5 - 1e-5]
    assert bn_to_abn(SCALES).tolist() == pytest.approx(expected, rel=1e-7)
    assert bn_to_abn(SCALES).dtype == torch.float32


def test_batch_norm_for_in_place_abn():
    before = layer()
    out = convert_norms(before, 'BN', 'InPlaceABN')
    assert same(before, layer()), 'what was given has changed'
    assert same(out, layer(bn_to_abn(SCALES), **{
        'conv1.conv.weight': before['conv1.conv.weight'] * SIGN[:, None, None, None],
        'conv1.bn.running_mean': before['conv1.bn.running_mean'] * SIGN}))
    assert out['conv1.bn.bias'] is before['conv1.bn.bias']


def test_the_filters_keep_their_precision():
    half = {key: value.half() for key, value in layer().items()}
    out = convert_norms(half, 'BN', 'InPlaceABN')
    assert out['conv1.conv.weight'].dtype == out['conv1.bn.running_mean'].dtype == torch.half


@pytest.mark.parametrize('source, target, weight', [
    ('InPlaceABN', 'BN', abn_to_bn(SCALES)), ('InPlaceABN', 'InPlaceABN', SCALES.abs()),
    ('BN', 'BN', SCALES)])
def test_the_other_ways_change_nothing_but_the_scale(source, target, weight):
    assert same(convert_norms(layer(), source, target), layer(weight))


@pytest.mark.parametrize('names', [('GN', 'BN'), ('BN', 'GN')])
def test_another_norm(names):
    with pytest.raises(ValueError, match=r"one of \('InPlaceABN', 'BN'\), got 'GN'"):
        convert_norms({}, *names)


@pytest.mark.parametrize('weight', [torch.tensor([-1, 1]), torch.tensor([-1., 1]).to_sparse()],
                         ids=['integer', 'sparse'])
def test_what_is_no_scale_stays(weight):
    state_dict = {'a.bn.weight': weight, 'b.bn.weight': torch.tensor([2.])}
    out = convert_norms(state_dict, 'BN', 'InPlaceABN')
    assert out['a.bn.weight'] is weight
    assert out['b.bn.weight'].item() == pytest.approx(2 - 1e-5, rel=1e-7)


@pytest.mark.parametrize('changed', [
    {'conv1.conv.weight': None}, {'conv1.bn.running_mean': None},
    {'conv1.conv.weight': torch.ones(4, 2, 1, 1)}, {'conv1.conv.weight': torch.ones(5, 2)},
    {'conv1.bn.running_mean': torch.ones(4)}, {'conv1.bn.running_mean': torch.ones(5, 1)},
    {'conv1.bn.weight': -torch.ones(5, 1)}], ids=str)
def test_what_does_not_fit_keeps_its_signs(changed):
    """It is refused by key when all shapes are looked at; here nothing may fail."""
    state_dict = {key: value for key, value in {**layer(), **changed}.items() if value is not None}
    out = convert_norms(state_dict, 'BN', 'InPlaceABN')
    for key in set(state_dict) - {'conv1.bn.weight'}:
        assert out[key] is state_dict[key]


def test_without_a_negative_scale_the_filters_are_shared():
    state_dict = layer(SCALES.abs())
    out = convert_norms(state_dict, 'BN', 'InPlaceABN')
    assert out['conv1.conv.weight'] is state_dict['conv1.conv.weight']
