"""What a converted checkpoint says about itself: family, norm, class names, metadata."""

from collections import OrderedDict

import pytest
import torch

from tresnet_mm.checkpoint.conversion import convert, recorded_classes, recorded_norm, translate
from tresnet_mm.checkpoint.formats import metadata_of, set_metadata

NAMES = ('cat', 'dog', 'cow', 'car', 'bus')


def with_prefix(prefix: str, state_dict) -> OrderedDict:
    """The state dict of a module that holds this one, with the metadata that PyTorch would keep."""
    out = OrderedDict((prefix + key, value) for key, value in state_dict.items())
    set_metadata(out, {'': dict(version=1)} | {
        (prefix + name).rstrip('.'): entry for name, entry in metadata_of(state_dict).items()})
    return out


def decoder_head(channels: int) -> dict:
    """A published ML-Decoder head of three groups for five classes, 8 wide."""
    start = 'head.decoder.'
    layer = start + 'layers.0.'
    norms = {f'{layer}norm{i}.{leaf}': torch.ones(8) for i in (1, 2, 3)
             for leaf in ('weight', 'bias')}
    return {start + 'embed_standart.weight': torch.ones(8, channels),
            start + 'embed_standart.bias': torch.ones(8),
            start + 'query_embed.weight': torch.ones(3, 8),
            start + 'duplicate_pooling': torch.ones(3, 8, 2),
            start + 'duplicate_pooling_bias': torch.ones(5),
            layer + 'multihead_attn.in_proj_weight': torch.ones(24, 8),
            layer + 'multihead_attn.in_proj_bias': torch.ones(24),
            layer + 'multihead_attn.out_proj.weight': torch.ones(8, 8),
            layer + 'multihead_attn.out_proj.bias': torch.ones(8),
            layer + 'linear1.weight': torch.ones(9, 8), layer + 'linear1.bias': torch.ones(9),
            layer + 'linear2.weight': torch.ones(8, 9), layer + 'linear2.bias': torch.ones(8),
            **norms}


def test_families(official, timm, abn_net):
    assert convert(official).family == 'tresnet'
    assert convert({'model': official, 'idx_to_class': {}}).family == 'asl'
    assert convert(timm).family == 'timm'
    assert convert(abn_net.state_dict()).family == 'ours'


def test_ml_decoder(official, abn_net):
    body = {key: value for key, value in official.items() if key.startswith('body.')}
    converted = convert({**body, **decoder_head(abn_net.out_channels[-1])})
    assert converted.family == converted.head == 'ml_decoder'
    assert (converted.num_classes, converted.num_groups) == (5, 3)
    alone = converted.backbone_only()
    assert alone[5:] == (None,) * 4
    assert set(alone.state_dict) == {key for key in converted.state_dict
                                     if key.startswith('backbone.')}


@pytest.mark.parametrize('norm', ['InPlaceABN', 'BN'])
def test_the_result_says_its_norm(norm, official):
    """Under '' for a bare backbone, under its name for a whole model."""
    converted = convert(official, norm=norm)
    assert metadata_of(converted.state_dict) == {
        '': dict(tresnet_mm=dict(norm=norm)), 'backbone': dict(tresnet_mm=dict(norm=norm))}
    assert recorded_norm(converted.state_dict) == norm
    assert recorded_norm(converted.state_dict, 'backbone.') == norm
    assert recorded_norm(converted.state_dict, 'neck.') is None


def test_without_a_norm_the_files_own_is_kept(official, timm):
    assert convert(official, norm=None).norm == 'InPlaceABN'
    assert convert(timm, norm=None).norm == 'BN'
    scale = 'layer1.0.conv1.bn.weight'
    assert torch.equal(convert(timm, norm=None).state_dict['backbone.' + scale],
                       timm['body.' + scale])


def test_versions_of_a_whole_model_are_kept(bn_net):
    """So that PyTorch does not take the values for those of an old version of the module."""
    state_dict = with_prefix('backbone.', bn_net.state_dict())
    before = {name: dict(entry) for name, entry in metadata_of(state_dict).items()}
    assert before['backbone.conv1.bn'] == dict(version=2)
    after = metadata_of(convert(state_dict, norm='InPlaceABN').state_dict)
    tag = dict(tresnet_mm=dict(norm='InPlaceABN'))
    assert after == {**before, '': before[''] | tag, 'backbone': before['backbone'] | tag}
    assert metadata_of(state_dict) == before, 'what was given has changed'


@pytest.mark.parametrize('prefix', ['', 'module.backbone.'])
def test_versions_under_other_names_are_left_out(prefix, abn_net):
    converted = convert(with_prefix(prefix, abn_net.state_dict()))
    assert set(metadata_of(converted.state_dict)) == {'', 'backbone'}


def test_the_backbones_metadata_goes_with_it(official):
    state_dict = convert({'model': official}).state_dict
    set_metadata(state_dict, {'': {}, 'backbone': {}, 'backbone.conv1': {}, 'backbones': {},
                              'head': {}, 'head.fc': {}})
    converted = translate(state_dict)[0].backbone_only()
    assert list(metadata_of(converted.state_dict)) == ['', 'backbone', 'backbone.conv1']


@pytest.mark.parametrize('around, classes', [
    (dict(idx_to_class=dict(enumerate(NAMES))), NAMES),
    (dict(idx_to_class={str(i): name for i, name in reversed([*enumerate(NAMES)])}), NAMES),
    (dict(idx_to_class=dict(enumerate(NAMES, 1))), None),         # from 1
    (dict(idx_to_class=dict(enumerate(NAMES[:4]))), None),        # one too few
    (dict(idx_to_class=dict(enumerate(NAMES)) | {6: 'hen'}), None),
    (dict(idx_to_class={name: name for name in NAMES}), None),
    (dict(idx_to_class=3), None),
    (dict(meta=dict(dataset_meta=dict(classes=NAMES))), NAMES),
    (dict(meta=dict(dataset_meta=dict(classes=[*NAMES]))), NAMES),
    (dict(meta=dict(dataset_meta=dict(classes=NAMES[:4]))), None),
    (dict(meta=dict(dataset_meta=dict(classes='horse'))), None),  # five letters
    (dict(meta=dict(dataset_meta=[*NAMES])), None),
    (dict(meta=[1]), None),
])
def test_class_names(around, classes, official):
    converted = convert({'state_dict': official, **around})
    assert converted.classes == classes
    metadata = metadata_of(converted.state_dict)
    assert recorded_classes(metadata['']) == classes
    assert recorded_classes(metadata['backbone']) is None
    assert ('classes' in metadata['']['tresnet_mm']) == (classes is not None)
    assert converted.backbone_only().classes is None


def test_a_norm_noted_in_the_checkpoints_meta(bn_net):
    """As published files have it, whose state dict is plain."""
    plain = dict(bn_net.state_dict())
    scale = 'layer1.0.conv1.bn.weight'
    noted = dict(state_dict=plain, meta=dict(tresnet_mm=dict(norm='BN')))
    assert torch.equal(convert(noted, norm='BN').state_dict['backbone.' + scale], plain[scale])
    # Without it they are taken to be of in-place ABN, whose scale is |weight| + eps.
    assert not torch.equal(convert(plain, norm='BN').state_dict['backbone.' + scale], plain[scale])


def test_another_arch_is_named(official):
    with pytest.raises(ValueError, match=r"is of arch custom \{.*\}, not 'm'"):
        convert(official, arch='m')


def test_what_is_not_asked_for_is_still_said(official):
    """`translate` gives what there is, with the rest in words; `convert` raises."""
    del official['body.layer1.0.conv1.1.weight']
    converted, problems = translate({**official, 'surprise': torch.ones(1),
                                     'head.cls.weight': torch.ones(2)})
    assert problems == ['unmapped surprise', 'unmapped head.cls.weight']
    assert 'backbone.layer1.0.conv1.bn.weight' not in converted.state_dict
    assert converted.head == 'linear' and converted.in_channels == 3


def test_another_networks_keys_are_named():
    with pytest.raises(ValueError, match='its keys start with a, b, c, d$'):
        convert({key: torch.ones(1) for key in 'abcdef'})
