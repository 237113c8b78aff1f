"""Image-level heads of published files, told from keys and shapes."""

import pytest
import torch

from tresnet_mm.checkpoint.heads import Head, detect_head, head_problems

LINEAR = {'fc.weight': torch.empty(5, 16), 'fc.bias': torch.empty(5)}
BOTTLENECK = {**LINEAR, 'embedding.weight': torch.empty(7, 16), 'embedding.bias': torch.empty(7)}
ML_DECODER = {
    'embed.weight': torch.empty(8, 16), 'embed.bias': torch.empty(8),
    'cross_attn.in_proj_weight': torch.empty(24, 8), 'cross_attn.in_proj_bias': torch.empty(24),
    'cross_attn.out_proj.weight': torch.empty(8, 8), 'cross_attn.out_proj.bias': torch.empty(8),
    'linear1.weight': torch.empty(9, 8), 'linear1.bias': torch.empty(9),
    'linear2.weight': torch.empty(8, 9), 'linear2.bias': torch.empty(8),
    **{f'norm{i}.{leaf}': torch.empty(8) for i in (1, 2, 3) for leaf in ('weight', 'bias')},
    'query_embed.weight': torch.empty(3, 8),
    'group_fc.weight': torch.empty(3, 8, 2), 'group_fc.bias': torch.empty(6)}


@pytest.mark.parametrize('state_dict, head, words', [
    (LINEAR, Head('linear', 5), 'a linear head for 5 classes'),
    (BOTTLENECK, Head('bottleneck', 5), 'a bottleneck head for 5 classes'),
    (ML_DECODER, Head('ml_decoder', 6, 3), 'a ml_decoder head for 6 classes in 3 groups'),
    ({'cls.weight': torch.empty(5, 16)}, Head(None), 'a head of another kind'),
], ids=['linear', 'bottleneck', 'ml_decoder', 'other'])
def test_kinds(state_dict, head, words):
    assert detect_head(state_dict) == head
    assert str(head) == words


def test_no_head_has_no_problems():
    assert detect_head({}) == Head(None)
    assert head_problems({}, Head(None)) == []


@pytest.mark.parametrize('whole', [LINEAR, BOTTLENECK, ML_DECODER],
                         ids=['linear', 'bottleneck', 'ml_decoder'])
def test_what_is_missing_and_what_is_too_much(whole):
    head = detect_head(whole)
    assert head_problems(whole, head) == []
    assert head_problems({**whole, 'z': torch.empty(1), 'a': torch.empty(1)}, head) == [
        'unmapped head.a', 'unmapped head.z']
    for key in whole:
        rest = {name: value for name, value in whole.items() if name != key}
        assert head_problems(rest, head) == [f'missing head.{key}']


def test_another_head_has_no_place():
    other = {'cls.weight': torch.empty(5, 16)}
    assert head_problems(other, detect_head(other)) == ['unmapped head.cls.weight']


@pytest.mark.parametrize('key, head', [
    ('fc.weight', Head('linear', 5)), ('fc.bias', Head('linear')),
    ('query_embed.weight', Head('ml_decoder', None, 3)), ('group_fc.weight', Head('ml_decoder')),
])
def test_one_key_tells_the_kind(key, head):
    assert detect_head({key: {**LINEAR, **ML_DECODER}[key]}) == head


def test_a_weight_without_dimensions_has_no_classes():
    assert detect_head({'fc.weight': torch.tensor(1.)}) == Head('linear')
