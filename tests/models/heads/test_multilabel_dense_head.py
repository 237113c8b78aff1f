"""The head whose logit is that of the best cell, against a loop over the cells of the image."""
import pytest
import torch
from mmengine.registry import MODELS
from mmengine.structures import BaseDataElement
from torch import nn

from tresnet_mm.models.heads import MultiLabelDenseHead

SIZE = (64, 96)
#: strides of the maps; the second image is padded at the right and bottom
STRIDES = (8, 16, 32)
SAMPLES = [BaseDataElement(metainfo=dict(img_shape=shape)) for shape in (SIZE, (40, 33))]


def build(**kwargs):
    torch.manual_seed(0)
    head = MultiLabelDenseHead(3, 16, **kwargs)
    head.init_weights()
    nn.init.normal_(head.conv_cls.weight, std=1.0)
    return head.double()


def maps():
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(2, 16, SIZE[0] // s, SIZE[1] // s, generator=generator,
                        dtype=torch.float64, requires_grad=True) for s in STRIDES]


INPUTS = torch.zeros(2, 3, *SIZE)


def best_cell(head, feats):
    """The highest logit of the cells that begin inside the image, by a loop."""
    inside = [[], []]
    for stride, x in zip(STRIDES, feats, strict=True):
        cells = head.conv_cls(head.convs(x))
        for i, sample in enumerate(SAMPLES):
            height, width = sample.img_shape
            for row in range(x.shape[2]):
                for column in range(x.shape[3]):
                    if row * stride < height and column * stride < width:
                        inside[i].append(cells[i, :, row, column])
    return torch.stack([torch.stack(cells).amax(dim=0) for cells in inside])


@pytest.mark.parametrize('kwargs', [{}, dict(stacked_convs=1, feat_channels=8, norm_cfg=None),
                                    dict(stacked_convs=0)])
def test_logits_and_gradients_are_those_of_the_best_cell_of_the_image(kwargs):
    head, feats, others = build(**kwargs), maps(), maps()
    logits, expected = head.logits(feats, SAMPLES, INPUTS), best_cell(head, others)
    torch.testing.assert_close(logits, expected)
    weights = torch.tensor([[1., -2., 3.], [0.5, 4., -1.]], dtype=torch.float64)
    (logits * weights).sum().backward()
    (expected * weights).sum().backward()
    for x, y in zip(feats, others, strict=True):
        torch.testing.assert_close(x.grad, y.grad)


def test_one_map_is_a_map_of_many():
    head, x = build(), maps()[0]
    torch.testing.assert_close(head(x), head([x]))
    torch.testing.assert_close(head(maps()), torch.stack([head(x) for x in maps()]).amax(0))


def test_it_can_be_traced():
    head = build().float().eval().requires_grad_(False)
    feats = [x.detach().float() for x in maps()]
    valid = torch.rand(2, sum(x[0, 0].numel() for x in feats)) > 0.5
    traced = torch.jit.trace(lambda *args: head(args[:-1], args[-1]), (*feats, valid))
    torch.testing.assert_close(traced(*feats, ~valid), head(feats, ~valid))


def test_of_one_cell_it_is_the_linear_head():
    linear = MODELS.build(dict(type='MultiLabelLinearHead', num_classes=3, in_channels=16)).double()
    head, x = build(stacked_convs=0), torch.randn(4, 16, 1, 1, dtype=torch.float64)
    head.conv_cls.weight.data = linear.fc.weight.data[..., None, None]
    head.conv_cls.bias = linear.fc.bias
    torch.testing.assert_close(head(x), linear(x))


def test_class_maps_have_the_images_logit_as_their_highest():
    head, feats = build(), maps()
    found, valid = head.class_maps(feats, [2, 0], SAMPLES, INPUTS)
    assert found.shape == (2, 2, 8, 12) and valid[1].sum() == 5 * 5
    assert (found[1][:, ~valid[1]] == 0).all()
    highest = found.masked_fill(~valid[:, None], float('-inf')).amax((2, 3))
    torch.testing.assert_close(highest, head.logits(feats, SAMPLES, INPUTS)[:, [2, 0]])
    with pytest.raises(IndexError, match='class 3 of a head with 3 classes'):
        head.class_maps(feats, [3])


def test_its_start():
    head = MultiLabelDenseHead(5, 32)
    head.init_weights()
    assert 0.005 < head.conv_cls.weight.std() < 0.015 and (head.conv_cls.bias == 0).all()
    assert head.convs[0].conv.weight.std() > 0.03  # the convolutions' own, for ReLU


@pytest.mark.parametrize('kwargs, message', [
    (dict(stacked_convs=-1), 'stacked_convs must be at least 0, got -1'),
    (dict(num_classes=0), 'num_classes must be a positive integer'),
])
def test_wrong_arguments(kwargs, message):
    with pytest.raises(ValueError, match=message):
        MultiLabelDenseHead(**dict(dict(num_classes=3, in_channels=16), **kwargs))


def test_maps_of_unequal_channels():
    with pytest.raises(ValueError, match=r'maps of 16 channels each, got .*32.*features=.neck.'):
        MultiLabelDenseHead(3, 16)([torch.zeros(1, 16, 4, 4), torch.zeros(1, 32, 2, 2)])
