"""Given weights of tasks' losses."""

import pytest
import torch

from tresnet_mm.models.losses.task_weights import scale_losses, weights_by_name


def test_one_weight_is_that_of_all():
    assert weights_by_name(0.3, ['a', 'b']) == dict(a=0.3, b=0.3)


def test_a_head_without_a_weight_has_1():
    assert weights_by_name(dict(b=0.5), ['a', 'b']) == dict(a=1.0, b=0.5)
    assert weights_by_name({}, ['a']) == dict(a=1.0)


def test_a_weight_of_no_head_is_named():
    with pytest.raises(ValueError, match=r"image_loss_weight names \['c', 'd'\], the heads are "
                                         r"\['a', 'b'\]"):
        weights_by_name(dict(d=1, a=1, c=1), ['a', 'b'])


def test_losses_are_scaled_and_measures_are_not():
    """Those of several levels are lists."""
    one, two = torch.tensor(1.), torch.tensor(2.)
    scaled = scale_losses(dict(loss_cls=one, loss_bbox=[one, two], loss_obj=(two, ), acc=one), 3)
    assert scaled == dict(loss_cls=3, loss_bbox=[3, 6], loss_obj=[6], acc=1)
    assert scale_losses(dict(loss=two), torch.tensor(0.5)) == dict(loss=1)
