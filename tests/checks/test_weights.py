"""Every parameter of a checkpoint against every one of a small model."""

import torch
from torch import nn

from tresnet_mm.checks.weights import compare_weights


def model(**more):
    return nn.ModuleDict(dict(backbone=nn.Linear(2, 2), head=nn.Linear(2, 3), **more))


def test_what_fits_and_what_does_not():
    net = model()
    net.register_module('neck', None)  # as a model without one has it
    state = net.state_dict()
    assert not compare_weights(net, state).incomplete
    state['head.weight'], state['stray'] = torch.zeros(4, 2), torch.zeros(1)
    del state['backbone.bias']
    report = compare_weights(net, state)
    assert report.misshapen == ['head.weight: (4, 2), the model has (3, 2)']
    assert report.missing == ['backbone.bias'] and report.incomplete == (
        '1 parameters of another shape (head.weight: (4, 2), the model has (3, 2)), and nothing '
        'for 1 parameters (backbone.bias)')


def test_what_is_no_tensor_is_told_in_torchs_words():
    net = model()
    report = compare_weights(net, {**net.state_dict(), 'head.bias': 'three'})
    [told] = report.misshapen
    assert '"head.bias"' in told and "<class 'str'>" in told


def test_of_many_modules_the_first_are_named():
    net = nn.ModuleDict({f'part{number}': nn.Linear(1, 1) for number in range(6)})
    assert compare_weights(net, {}).incomplete == (
        'nothing for 12 parameters (part0, part1, part2, part3, ...)')
