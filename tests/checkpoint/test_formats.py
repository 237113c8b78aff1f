"""Key names of the published formats: what each is taken for, and what is left over."""

import re
from collections import OrderedDict

import pytest
import torch

from tresnet_mm.checkpoint.formats import (
    MAX_WRAPPERS,
    Layout,
    find_layout,
    metadata_of,
    rename,
    set_metadata,
    split_ours,
    tag_of,
    unwrap,
)

STEM = torch.empty(8, 48, 3, 3)
ONE = torch.ones(1)
LINE = torch.tensor([1., 2, 1])
BLUR = (LINE[:, None] * LINE / 16).expand(8, 1, 3, 3)


@pytest.mark.parametrize('outer', ['', 'module.', 'model.', 'model.module._orig_mod.'])
@pytest.mark.parametrize('inner, part, form', [
    ('body.', '0', 'official'), ('', '0', 'official'), ('backbone.', '0', 'official'),
    ('body.', 'conv', 'timm'), ('backbone.', 'conv', 'ours'), ('', 'conv', 'ours'),
])
def test_layouts(outer, inner, part, form):
    start = outer + inner
    state_dict = {f'{start}conv1.{part}.weight': STEM, f'{start}layer1.0.conv1.{part}.weight': ONE}
    assert find_layout(state_dict) == Layout(form, outer, inner)


@pytest.mark.parametrize('key, form', [
    ('layer2.0.downsample.1.conv.weight', 'timm'),
    ('module.layer2.0.downsample.1.conv.weight', 'ours'),  # of another prefix
    ('layer2.0.downsample.proj.conv.weight', 'ours'),
])
def test_a_bare_backbone_is_told_by_its_shortcuts(key, form):
    state_dict = {'conv1.conv.weight': STEM, 'layer1.0.conv1.conv.weight': ONE, key: ONE}
    assert find_layout(state_dict) == Layout(form, '', '')


@pytest.mark.parametrize('stem', [torch.empty(8, 48), torch.empty(8, 3, 7, 7),
                                  torch.empty(8, 47, 3, 3)])
def test_a_stem_that_is_no_tresnets(stem):
    assert find_layout({'conv1.conv.weight': stem, 'layer1.0.conv1.conv.weight': ONE}) is None


def test_a_stem_without_blocks_or_two_networks_are_no_layout():
    one = {'conv1.conv.weight': STEM, 'layer1.0.conv1.conv.weight': ONE}
    assert find_layout({'conv1.conv.weight': STEM}) is None
    assert find_layout({**one, 'stem.norm.weight': ONE}) == Layout('ours', '', '')
    assert find_layout({**one, **{'body.' + key: value for key, value in one.items()}}) is None


def test_what_stands_around_a_state_dict():
    inside = {'w': ONE}
    state_dict, around = unwrap({'epoch': 3, 'model': {'state_dict': inside, 'lr': 0.1}})
    assert state_dict is inside
    assert around == dict(epoch=3, lr=0.1)
    assert unwrap(inside) == (inside, {})
    # A tensor, or a number, of a wrapper's name wraps nothing.
    assert unwrap({'model': ONE}) == ({'model': ONE}, {})


def test_as_many_wrappers_as_there_may_be():
    content = {'w': ONE}
    for _ in range(MAX_WRAPPERS):
        content = {'model': content}
    assert unwrap(content)[0] == {'w': ONE}
    with pytest.raises(TypeError, match='got a dict of 1 entries'):
        unwrap({'model': content})


@pytest.mark.parametrize('content, words', [
    ([1], 'got a list'),
    ({'model': {}}, r'got a dict of 0 entries \(\)'),
    ({3: ONE}, r'got a dict of 1 entries \(3: Tensor\)'),
    ({'a': ONE, 'b': 3}, r"got a dict of 2 entries \('a': Tensor, 'b': int\)"),
    (dict.fromkeys('abcde', 1), r"'e': int\)$"),
    (dict.fromkeys('abcdef', 1), r"'e': int, ...\)$"),
])
def test_what_is_no_state_dict(content, words):
    with pytest.raises(TypeError, match=words):
        unwrap(content)


def test_metadata():
    state_dict = OrderedDict(w=ONE)
    assert metadata_of(state_dict) == {} == metadata_of({})
    set_metadata(state_dict, {'': dict(version=1)})
    assert metadata_of(state_dict) == {'': dict(version=1)}


@pytest.mark.parametrize('tag, read', [
    (dict(norm='BN', classes=('cat', 'dog')), dict(norm='BN', classes=('cat', 'dog'))),
    (dict(norm='BN', classes=['cat']), dict(norm='BN', classes=['cat'])),
    (dict(norm=3, classes='cat'), {}),
    ({}, {}), (3, {}), (None, {}),
])
def test_tag(tag, read):
    assert tag_of({'tresnet_mm': tag}) == read
    assert tag_of(tag) == {}


@pytest.mark.parametrize('old, new', [
    ('conv1.0.weight', 'conv1.conv.weight'),
    ('conv1.1.running_var', 'conv1.bn.running_var'),
    ('layer1.0.conv1.0.weight', 'layer1.0.conv1.conv.weight'),
    ('layer1.0.conv2.1.bias', 'layer1.0.conv2.bn.bias'),
    ('layer2.0.conv1.0.0.weight', 'layer2.0.conv1.conv.weight'),
    ('layer2.0.conv1.0.1.weight', 'layer2.0.conv1.bn.weight'),
    ('layer2.0.downsample.1.0.weight', 'layer2.0.downsample.proj.conv.weight'),
    ('layer3.0.downsample.0.1.weight', 'layer3.0.downsample.proj.bn.weight'),
    ('layer3.10.se.fc2.bias', 'layer3.10.se.fc2.bias'),
])
def test_a_key_of_the_backbone(old, new):
    backbone, head, left = rename({'module.body.' + old: ONE},
                                  Layout('official', 'module.', 'body.'))
    assert (backbone, head, left) == ({new: ONE}, {}, [])


@pytest.mark.parametrize('old, new', [
    ('fc.weight', 'fc.weight'),
    ('fc.embedding_generator.0.bias', 'embedding.bias'),
    ('fc.FC.weight', 'fc.weight'),
    ('decoder.embed_standart.weight', 'embed.weight'),
    ('decoder.query_embed.weight', 'query_embed.weight'),
    ('decoder.layers.0.multihead_attn.in_proj_weight', 'cross_attn.in_proj_weight'),
    ('decoder.layers.0.norm2.bias', 'norm2.bias'),
    ('decoder.duplicate_pooling', 'group_fc.weight'),
    ('decoder.duplicate_pooling_bias', 'group_fc.bias'),
])
def test_a_key_of_the_head(old, new):
    backbone, head, left = rename({'head.' + old: ONE}, Layout('official', '', 'body.'))
    assert (backbone, head, left) == ({}, {new: ONE}, [])


@pytest.mark.parametrize('key', [
    'body.layer1.0.surprise', 'body.layer1.0.se.fc3.weight', 'head.decoder.layers.1.norm1.weight',
    'head.surprise', 'layer1.0.conv1.0.weight', 'body.conv1.2.weight', 'step'])
def test_a_key_without_a_place_is_left_over(key):
    layout = Layout('official', '', 'body.')
    assert rename({key: ONE}, layout) == ({}, {}, [key])


def test_counters_and_blur_filters_have_no_place_and_need_none():
    layout = Layout('official', 'module.', 'body.')
    state_dict = {'module.steps': ONE, 'n_averaged': ONE, 'module.body.layer2.0.conv1.1.filt': BLUR}
    assert rename(state_dict, layout) == ({}, {}, [])


@pytest.mark.parametrize('blur', [BLUR * 16, BLUR[:, :, :2], torch.full((8, 1, 3, 3), 1 / 9),
                                  torch.tensor([1., 2, 1]), BLUR.transpose(0, 1)[:, :, 1:],
                                  torch.full((8, 1, 5, 5), 1 / 25)])
def test_another_blur_filter(blur):
    with pytest.raises(ValueError, match=re.escape('body.layer2.0.conv1.1.filt is not the fixed')):
        rename({'body.layer2.0.conv1.1.filt': blur}, Layout('official', '', 'body.'))


def test_blur_filters_of_half_precision():
    rename({'body.a.filt': BLUR.half()}, Layout('official', '', 'body.'))


def test_a_detector_of_this_package_is_split():
    state_dict = {'module.backbone.conv1.conv.weight': STEM, 'module.neck.w': ONE,
                  'module.bbox_head.w': ONE, 'steps': ONE}
    backbone, rest = split_ours(state_dict, Layout('ours', 'module.', 'backbone.'))
    assert list(backbone) == ['conv1.conv.weight']
    assert list(rest) == ['neck.w', 'bbox_head.w']
