"""Memory that runs out, and what is said of it."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.registry import MODELS
from mmengine.runner import Runner

from tresnet_mm.commands.run_errors import explained
from tresnet_mm.engine.memory_hook import MemoryHook, is_out_of_memory, largest_fitting

from .conftest import DropoutNet, config


@MODELS.register_module()
class Hungry(DropoutNet):
    """Has no memory for more than ``room`` items."""

    def __init__(self, room):
        super().__init__()
        self.room = room

    def forward(self, inputs, mode='loss'):
        if len(inputs) > self.room:
            raise torch.cuda.OutOfMemoryError('CUDA out of memory. Tried to allocate 2 GiB.\nmore')
        return super().forward(inputs, mode)


@pytest.fixture
def run(tmp_path, request):
    def build(room, batch_size):
        cfg = config(tmp_path, request.node.name, [dict(type='MemoryHook')], epochs=1,
                     model=dict(room=room))
        cfg.model.type = 'Hungry'
        cfg.train_dataloader.batch_size = batch_size
        return Runner.from_cfg(cfg)

    return build


@pytest.mark.reliability(
    done='memory runs out',
    happens='one line names the batch size that fits')
@pytest.mark.parametrize('batch_size, room, fitting, steps', [(8, 5, 4, 2), (8, 3, 2, 4)])
def test_the_batch_that_fits_is_found_and_named(run, batch_size, room, fitting, steps):
    runner = run(room, batch_size)
    with pytest.raises(ValueError) as error, explained(runner):
        runner.train()
    assert str(error.value).startswith(
        f'iteration 1: memory has run out with {batch_size} images a step (CUDA out of memory. '
        f'Tried to allocate 2 GiB.); {fitting} fit')
    assert (f'train_dataloader.batch_size to {fitting}, with gradients of {steps} steps added up '
            f'by optim_wrapper.accumulative_counts={steps}.') in str(error.value)


@pytest.mark.reliability(
    done='memory runs out with a single image',
    happens='one line says that the size of the images has to go down')
def test_where_one_image_is_too_much_its_size_has_to_go(run):
    runner = run(0, 4)
    with pytest.raises(ValueError, match='one does not fit either: lower the size of the images'), \
            explained(runner):
        runner.train()


def test_enough_memory_changes_nothing(run):
    run(8, 2).train()


@pytest.mark.parametrize('error, expected', [
    (MemoryError(), True),
    (RuntimeError("[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate "
                  'memory: you tried to allocate 4096 bytes.'), True),
    (torch.cuda.OutOfMemoryError('CUDA out of memory'), True),
    (RuntimeError('shapes differ'), False),
    (ValueError('out of memory'), False),
])
def test_what_an_error_of_memory_is(error, expected):
    assert is_out_of_memory(error) is expected


def test_the_cpus_own_error_is_known():
    with pytest.raises(RuntimeError) as error:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert is_out_of_memory(error.value)


@pytest.mark.parametrize('batch', [None, dict(inputs=3), dict(inputs=[1, 2], data_samples=[1])])
def test_a_batch_that_cannot_be_cut(batch):
    hook = MemoryHook()
    hook.before_train_iter(None, 0, batch)
    assert hook.explain(SimpleNamespace(iter=4), MemoryError()) == (
        'iteration 5: memory has run out (MemoryError). Lower train_dataloader.batch_size or the '
        'size of the images')


def test_a_trial_that_fails_otherwise_promises_nothing():
    """A batch of one image, with which batch norm may have no variance, is not one of no memory."""
    class Broken(torch.nn.Module):
        @staticmethod
        def data_preprocessor(batch, training):
            raise ValueError('more than one value a channel is needed')

    assert largest_fitting(Broken(), dict(inputs=[1, 2]), 1) is None
    hook = MemoryHook()
    hook.before_train_iter(None, 0, dict(inputs=[1, 2]))
    assert hook.explain(SimpleNamespace(iter=4, model=Broken()), MemoryError()).endswith(
        'Lower train_dataloader.batch_size or the size of the images')
