"""The arch is told from a state dict's shapes, and from nothing else in it."""

import pytest
import torch

from tresnet_mm.checkpoint.arch import describe_arch, detect_arch, in_channels, reference_shapes

FIELDS = dict(depths=(1, 2, 1, 2), width=0.25, blocks=('basic', 'basic', 'bottleneck', 'basic'))


def state_dict_of(arch=FIELDS, channels=3) -> dict:
    """Meta tensors: shapes without values."""
    return {key: torch.empty(shape, device='meta')
            for key, shape in reference_shapes(arch, channels).items()}


def without(prefix: str) -> dict:
    return {key: value for key, value in state_dict_of().items() if not key.startswith(prefix)}


@pytest.mark.parametrize('channels', [1, 3, 4])
def test_fields_and_channels(channels):
    state_dict = state_dict_of(channels=channels)
    assert detect_arch(state_dict) == FIELDS
    assert in_channels(state_dict) == channels


def test_the_stem_has_to_be_a_convolution():
    with pytest.raises(ValueError, match=r'has no stem \(conv1.conv.weight\)'):
        detect_arch(without('conv1.'))
    flat = {**state_dict_of(), 'conv1.conv.weight': torch.empty(16, 48)}
    with pytest.raises(ValueError, match='has 2 dimensions, not 4'):
        detect_arch(flat)


@pytest.mark.parametrize('stage', [1, 2, 3, 4])
def test_a_missing_stage_is_named(stage):
    with pytest.raises(ValueError, match=f'has no layer{stage}'):
        detect_arch(without(f'layer{stage}.'))


@pytest.mark.parametrize('key, depths', [
    ('layer5.0.conv1.conv.weight', (1, 2, 1, 2)),     # there are four stages
    ('layer0.7.conv1.conv.weight', (1, 2, 1, 2)),
    ('layer12.7.conv1.conv.weight', (1, 2, 1, 2)),
    ('my.layer1.7.conv1.conv.weight', (1, 2, 1, 2)),
    ('layer3.999.conv1.conv.weight', (1, 2, 1000, 2)),
    ('layer3.1000.conv1.conv.weight', (1, 2, 1, 2)),  # a number that is no block's
])
def test_which_keys_count_as_blocks(key, depths):
    state_dict = {**state_dict_of(), key: torch.empty(1)}
    assert detect_arch(state_dict)['depths'] == depths


def test_the_order_of_the_keys_does_not_matter():
    assert detect_arch(dict(reversed(state_dict_of().items()))) == FIELDS


def test_in_words():
    assert describe_arch(state_dict_of('v2_l')) == "'v2_l'"
    assert describe_arch(state_dict_of()) == f'custom {FIELDS}'
    assert describe_arch({}) == 'unknown (the checkpoint has no stem (conv1.conv.weight))'
