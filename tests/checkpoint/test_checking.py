"""Values that no network can use are refused, wherever they are loaded."""

import json

import pytest
import torch
from mmengine.registry import MODELS
from mmengine.runner import load_checkpoint
from safetensors.torch import save_file

from tresnet_mm.archs import ARCHS, stage_channels
from tresnet_mm.checkpoint import CheckpointMismatch, convert, load_pretrained, read_file
from tresnet_mm.checkpoint.arch import detect_arch, reference_shapes
from tresnet_mm.models import TResNet

from .conftest import ARCH, official_keys

CONV, VARIANCE = 'layer2.0.conv1.conv.weight', 'layer2.0.conv1.bn.running_var'


def with_value(value: float):
    def change(tensor):
        tensor = tensor.clone()
        tensor.view(-1)[3] = value
        return tensor
    return change


# which value, how it is changed, what is said of it
WRONG = {
    'int8': (CONV, lambda t: t.to(torch.int8), 'is of type int8, not floating point'),
    'bool': (CONV, lambda t: t > 0, 'is of type bool, not floating point'),
    'complex': (CONV, lambda t: t.to(torch.complex64), 'is of type complex64, not floating point'),
    'NaN': (CONV, with_value(float('nan')), 'holds NaN or infinite values'),
    'infinite': (VARIANCE, with_value(float('inf')), 'holds NaN or infinite values'),
    'negative variance': (VARIANCE, with_value(-0.5), 'holds a negative variance'),
    'sparse': (CONV, lambda t: t.to_sparse(), 'is a sparse tensor'),
    '0-d': (CONV, lambda t: t.sum(), r'is \(\) instead of'),
}


@pytest.mark.parametrize('case', WRONG)
def test_wrong_values_are_refused_in_every_format(case, official, timm, abn_net):
    key, change, words = WRONG[case]
    named = {'official': 'body.' + key.replace('.conv.', '.0.0.').replace('.bn.', '.0.1.'),
             'timm': 'body.' + key, 'ours': 'backbone.' + key}
    ours = {'backbone.' + name: value for name, value in abn_net.state_dict().items()}
    for form, content in dict(official=official, timm=timm, ours=ours).items():
        content[named[form]] = change(content[named[form]])
        for norm in ('InPlaceABN', 'BN'):
            with pytest.raises(ValueError, match=f'{key} {words}'):
                convert(content, norm=norm)


@pytest.mark.parametrize('case', [case for case in WRONG if case != 'sparse'])
def test_wrong_values_are_not_loaded(case, abn_net, make, tmp_path):
    """A sparse tensor is refused when the file is read, the others by the model."""
    key, change, words = WRONG[case]
    state_dict = {'backbone.' + name: value for name, value in abn_net.state_dict().items()}
    state_dict['backbone.' + key] = change(state_dict['backbone.' + key])
    path = str(tmp_path / 'epoch_1.pth')
    torch.save(dict(meta={}, state_dict=state_dict), path)
    with pytest.raises(CheckpointMismatch, match=f'{path} into TResNet.*{key} {words}'):
        load_pretrained(make(seed=1), path)
    model = MODELS.build(dict(type='MultiLabelClassifier', backbone=dict(type='TResNet', arch=ARCH),
                              head=dict(type='MultiLabelLinearHead', num_classes=3)))
    with pytest.raises(CheckpointMismatch, match=f'{key} {words}'):
        load_checkpoint(model, path)


def test_a_meta_tensor_leaves_no_layer_random(abn_net, make):
    state_dict = abn_net.state_dict()
    state_dict[CONV] = state_dict[CONV].to('meta')
    with pytest.raises(CheckpointMismatch, match=f'{CONV} has no values'):
        make(seed=1).load_state_dict(state_dict)


def test_wrong_values_of_a_published_head(official):
    official['head.fc.weight'][0, 0] = float('nan')
    with pytest.raises(ValueError, match='head.fc.weight holds NaN'):
        convert(official)


def test_scales_and_filters_that_do_not_fit_are_named(timm):
    timm['body.layer2.0.conv1.bn.weight'] = torch.full((3,), -1.0)
    with pytest.raises(ValueError, match=r'layer2.0.conv1.bn.weight is \(3,\) instead of'):
        convert(timm)


def test_a_stem_of_no_dimension(abn_net, make):
    state_dict = abn_net.state_dict()
    state_dict['conv1.conv.weight'] = torch.tensor(1.0)
    with pytest.raises(CheckpointMismatch, match='has 0 dimensions, not 4'):
        make(seed=1).load_state_dict(state_dict)


def test_a_dict_that_holds_itself():
    content = {}
    content['model'] = content
    with pytest.raises(TypeError, match='expected a state dict'):
        convert(content)


@pytest.mark.parametrize('meta, words', [
    ('{', 'JSONDecodeError|Expecting'), ('3', "'meta' is a int"), ('[' * 100_000, 'recursion|nest'),
    (json.dumps({'tresnet_mm': 3}), "which 'norm' it is for"),
    (json.dumps({'tresnet_mm': {}}), "which 'norm' it is for"),
    (json.dumps({'tresnet_mm': {'norm': ['BN']}}), "which 'norm' it is for"),
])
def test_metadata_that_is_none(meta, words, tmp_path):
    path = tmp_path / 'file.safetensors'
    save_file({'w': torch.ones(2)}, path, metadata={'meta': meta})
    with pytest.raises(ValueError, match=f'{path} is damaged or no safetensors file: .*({words})'):
        read_file(path)


@pytest.mark.parametrize('metadata', [
    {'': 3}, {'backbone': {'tresnet_mm': 3}}, {3: {}}, {'backbone.conv1.bn': {'version': 'x'}}, [],
    {'': {'tresnet_mm': {'norm': 3}}}, {'': {'tresnet_mm': {'classes': 5}}}])
def test_metadata_of_a_state_dict_from_elsewhere(metadata, abn_net, make, tmp_path):
    """It is taken where it is what PyTorch writes, and left out where it is not."""
    path = str(tmp_path / 'epoch_1.pth')
    state_dict = abn_net.state_dict()
    state_dict._metadata = metadata
    torch.save(dict(state_dict=state_dict), path)
    model = make(seed=1)
    load_pretrained(model, path)
    assert torch.equal(model.state_dict()[CONV], abn_net.state_dict()[CONV])


@pytest.mark.parametrize('arch', [*ARCHS, dict(depths=(1, 2, 1, 2), width=0.3),
                                  dict(depths=(1, 1, 2, 1), blocks=('bottleneck', 'basic') * 2)])
@pytest.mark.parametrize('channels', [1, 3])
def test_the_shapes_of_an_arch_are_those_of_its_network(arch, channels):
    with torch.device('meta'):
        net = TResNet(arch, in_channels=channels)
    state_dict = net.state_dict()
    assert reference_shapes(arch, channels) == {k: tuple(v.shape) for k, v in state_dict.items()}
    assert stage_channels(arch) == net.out_channels
    if isinstance(arch, str):
        assert detect_arch(state_dict) == arch


def test_plain_batch_norm_in_the_published_layout(official, bn_net, images, assert_same, make):
    """The file cannot say it, so the user does: scales keep their sign and their value."""
    content = official_keys(bn_net.state_dict())
    for norm in ('BN', 'InPlaceABN'):
        converted = convert(content, norm=norm, source_norm='BN')
        net = make(norm, seed=1)
        net.load_state_dict(converted.backbone_only().state_dict)
        assert_same(net, bn_net, images)
    with pytest.raises(ValueError, match="norm must be one of .* got 'GN'"):
        convert(content, source_norm='GN')
