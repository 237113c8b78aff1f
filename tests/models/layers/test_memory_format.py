"""Memory formats where a layer of mmcv's reads features."""

import torch
from mmcv.ops import RoIAlign
from torch import nn

from tresnet_mm.models.layers.memory_format import shield_mmcv_layers


def test_regions_are_pooled_alike_in_any_memory_format():
    model = nn.ModuleDict(dict(pool=RoIAlign(3, 0.5, 2)))
    x, rois = torch.randn(2, 4, 8, 8), torch.tensor([[0., 1, 2, 9, 11], [1., 0, 0, 16, 5]])
    expected = model['pool'](x, rois)
    shield_mmcv_layers(model)
    x = x.to(memory_format=torch.channels_last).requires_grad_()
    torch.testing.assert_close(model['pool'](x, rois), expected)
    model['pool'](x, rois).sum().backward()
    assert x.grad.shape == x.shape and x.grad.abs().sum() > 0
