"""Class maps against what they have to add up to, and against PyTorch's own attention."""

import pytest
import torch
from mmengine.structures import BaseDataElement
from torch import nn

from tresnet_mm.models.heads import MLDecoderHead, MultiLabelLinearHead

#: Two images of a batch of 96 x 128 pixels on 3 x 4 cells; the second one is smaller.
SHAPES = [(96, 128), (64, 70)]
VALID = [(3, 4), (2, 3)]
INPUTS = torch.zeros(2, 3, 96, 128)


def samples():
    return [BaseDataElement(metainfo=dict(img_shape=shape)) for shape in SHAPES]


def features(channels=6):
    return torch.randn(2, channels, 3, 4, dtype=torch.float64)


@pytest.mark.parametrize('bottleneck', [None, 4])
@pytest.mark.parametrize('inputs', [INPUTS, None])
def test_cells_of_the_linear_head_average_to_the_logit(bottleneck, inputs):
    head = MultiLabelLinearHead(5, 6, bottleneck_channels=bottleneck).double()
    for parameter in head.parameters():
        nn.init.normal_(parameter)
    feats = features()
    maps, valid = head.class_maps(feats, [3, 0], samples(), inputs)
    logits = head.logits(feats, samples(), inputs)[:, [3, 0]]
    if inputs is None:
        assert valid is None
        torch.testing.assert_close(maps.mean(dim=(2, 3)), logits, rtol=1e-12, atol=1e-12)
        return
    for i, (rows, columns) in enumerate(VALID):
        torch.testing.assert_close(
            maps[i].sum(dim=(1, 2)) / (rows * columns), logits[i], rtol=1e-12, atol=1e-12)
        assert valid[i].sum() == rows * columns
        assert not maps[i, :, rows:].any() and not maps[i, :, :, columns:].any()


def test_maps_of_the_decoder_are_the_attention_of_pytorchs_layer():
    head = MLDecoderHead(5, 6, num_groups=3, embed_dims=16, num_heads=4,
                         feedforward_channels=8).double().eval()
    oracle = nn.MultiheadAttention(16, 4, batch_first=True).double().eval()
    state = {name: value for name, value in head.cross_attn.state_dict().items()}
    oracle.load_state_dict(state)
    feats = features()
    maps, valid = head.class_maps(feats, range(5), samples(), INPUTS)
    memory = head.embed(feats.flatten(2).transpose(1, 2)).relu()
    query = head.norm1(2 * head.query_embed.weight).expand(2, -1, -1)
    _, weights = oracle(query, memory, memory, key_padding_mask=~valid.flatten(1),
                        need_weights=True, average_attn_weights=True)
    # groups of two classes: 0 and 1, 2 and 3, 4 alone
    expected = weights[:, [0, 0, 1, 1, 2]].unflatten(-1, (3, 4))
    torch.testing.assert_close(maps, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(maps.sum(dim=(2, 3)), torch.ones(2, 5, dtype=torch.float64))
    assert not maps[1, :, 2:].any() and not maps[1, :, :, 3:].any()


def test_a_class_that_there_is_not():
    with pytest.raises(IndexError, match='class 5 of a head with 5 classes'):
        MultiLabelLinearHead(5, 6).class_maps(torch.zeros(1, 6, 2, 2), [5])
