"""The joint model over two and four processes of unequal batches, against one on all images."""

import os

import pytest
import torch
from mmengine.dist import get_rank, get_world_size
from mmengine.registry import DefaultScope

from tests.ranks import in_ranks
from tresnet_mm.models.layers import InPlaceABN

#: How many of the seven images each process has.
SHARES = {1: [7], 2: [5, 2], 4: [3, 2, 1, 1]}


def losses_and_gradients():
    """Losses of this process's share, gradients of both tasks, and running statistics."""
    from tests.models.test_multitask_detector import batch, build
    shares, rank = SHARES[get_world_size()], get_rank()
    start = sum(shares[:rank])
    found = {}
    with DefaultScope.overwrite_default_scope('mmdet'):
        torch.manual_seed(0)
        model = build().double()
        for layer in model.modules():
            if isinstance(layer, InPlaceABN):
                layer.sync = True
        model.train()
        data = model.data_preprocessor(batch(*[(64, 64)] * 7), training=True)
        share = slice(start, start + shares[rank])
        inputs, samples = data['inputs'][share].double(), data['data_samples'][share]
        for sample in samples:
            sample.gt_instances.bboxes = sample.gt_instances.bboxes.double()
        for task in ('boxes', 'labels'):
            losses = model(inputs, samples, mode='loss')
            chosen = {name: loss for name, loss in losses.items()
                      if (name == 'loss_mlc') == (task == 'labels')}
            sum(chosen.values()).backward()
            found[f'{task} losses'] = {name: loss.detach() for name, loss in chosen.items()}
            found[f'{task} gradients'] = {
                name: weight.grad.clone() for name, weight in model.named_parameters()
                if weight.grad is not None}
            model.zero_grad(set_to_none=True)
        found['buffers'] = {name: value for name, value in model.named_buffers()
                            if 'running' in name}
    return found


@pytest.fixture(scope='module')
def results(tmp_path_factory):
    return in_ranks('tests.models.test_multitask_ranks:losses_and_gradients', tuple(SHARES),
                    tmp_path_factory.mktemp('ranks'))


@pytest.mark.slow
@pytest.mark.reliability(
    done='the joint model with synchronised ABN over two and four processes of unequal batches',
    happens='losses of both tasks, all gradients and running statistics are those of one process '
            'on all images, to eight digits')
@pytest.mark.skipif(not hasattr(os, 'fork'), reason='forks')
@pytest.mark.parametrize('world', [2, 4])
def test_processes_equal_one(world, results):
    (one,), several = results[1], results[world]
    # mmdet's losses are averages over the objects of all processes, whose mean data parallel
    # training takes; `AsymmetricLoss` is a sum over images. mmdet adds float32's epsilon to the
    # number of objects of a process, on the average, before it divides by it.
    for task, divisor in (('boxes', world), ('labels', 1)):
        for part in (f'{task} losses', f'{task} gradients'):
            assert one[part].keys() == several[0][part].keys()
            for name, expected in one[part].items():
                found = sum(rank[part][name] for rank in several) / divisor
                torch.testing.assert_close(
                    found, expected, rtol=1e-7, atol=1e-9, msg=lambda m, name=name: f'{name}: {m}')
    gradients = one['boxes gradients'] | one['labels gradients']
    assert sum(bool(value.any()) for value in gradients.values()) > 50
    assert len({float(rank['labels losses']['loss_mlc']) for rank in several}) == world
    for rank in several:
        for name, expected in one['buffers'].items():
            torch.testing.assert_close(rank['buffers'][name], expected, rtol=1e-9, atol=1e-9)
