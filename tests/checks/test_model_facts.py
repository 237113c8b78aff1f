"""What is known of heads and necks, and what is left open."""

import pytest
from mmdet.models import FPN, ResNet
from torch import nn

from tests.inference.conftest import TINY
from tresnet_mm.checks.model_facts import HeadFacts, heads, neck_takes
from tresnet_mm.models import MultiLabelLinearHead, TResNet

BACKBONE = dict(TINY, type=TResNet)  # of 8, 16, 128, 256 channels


class Counted(nn.Module):
    def __init__(self, num_classes=7, **kwargs):
        super().__init__()


class Handing(Counted):
    def __init__(self, name='', **kwargs):
        super().__init__(**kwargs)


@pytest.mark.parametrize('head, number', [
    (dict(type=Counted, num_classes=3), 3), (dict(type=Counted), 7), (dict(type=Handing), 7),
    (dict(num_things_classes=8), 8), (dict(type=MultiLabelLinearHead), None),
    (dict(type=nn.Identity), None), (dict(type='NoSuchHead'), None),
    (dict(type=Counted, num_classes='all'), None)])
def test_the_number_of_classes_of_a_head(head, number):
    key = 'num_things_classes' if 'num_things_classes' in head else 'num_classes'
    assert list(heads(dict(bbox_head=head))) == (
        [] if number is None else [HeadFacts(f'model.bbox_head.{key}', number)])


@pytest.mark.parametrize('model', [
    None, 'FCOS', dict(language_model={}, bbox_head=dict(num_classes=3))])
def test_models_of_no_classes_and_of_classes_that_are_text(model):
    assert list(heads(model)) == []


class Undoable(nn.Module):
    def forward(self, features):
        raise NotImplementedError('no shapes alone')


@pytest.mark.parametrize('neck, backbone, runs', [
    (dict(type=FPN, in_channels=[8, 16, 128, 256], out_channels=4, num_outs=4), BACKBONE, True),
    ([dict(type=FPN, in_channels=[8, 16, 128, 256], out_channels=4, num_outs=4)], BACKBONE, True),
    (dict(type=FPN, in_channels=[8, 16, 128, 128], out_channels=4, num_outs=4), BACKBONE, False),
    (dict(type=Undoable), BACKBONE, True),
    (dict(type=FPN, in_channels=[8], out_channels=4, num_outs=1), dict(type=ResNet, depth=3),
     True)])
def test_whether_a_neck_runs_and_yes_where_that_cannot_be_told(neck, backbone, runs):
    assert neck_takes(neck, backbone) is runs
