"""Random numbers that depend on where a run stands, not on how it got there."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import Tensor

from .watched_fetch import WatchedFetch


@HOOKS.register_module()
class RepeatableHook(Hook):
    """Make a run that was stopped and resumed the same, bit for bit, as one that was not.

    mmengine seeds once, at the start: the augmentations of a resumed run are those of its first
    epoch again. Here every image is augmented by a seed of run, epoch and place in the data set,
    whichever worker loads it, and every iteration of the model starts from a seed of run, process
    and iteration. A checkpoint that was saved within an epoch goes on with the batches that were
    left. On a GPU, what PyTorch itself does not repeat stays unrepeated.

    With an iteration-based loop and workers, the images after a resume are augmented anew.
    """

    priority = 'VERY_HIGH'

    def before_train(self, runner: Runner) -> None:
        """Have the loader seed each image, and skip what the run has had of this epoch."""
        loop = runner.train_loop
        if not isinstance(loop, EpochBasedTrainLoop):
            return
        dataset = loop.dataloader.dataset
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()
        if not hasattr(dataset, '__getitems__'):
            dataset.__getitems__ = WatchedFetch(
                dataset, loop.dataloader.num_workers,
                partial(_seed_item, int(runner.seed), self._epoch))
        done = runner.iter - runner.epoch * len(loop.dataloader)
        if 0 < done <= len(loop.dataloader):
            skip_batches(loop.dataloader, done)
            runner.logger.info(f'Going on after {done} of {len(loop.dataloader)} iterations of '
                               f'epoch {runner.epoch + 1}')

    def before_train_epoch(self, runner: Runner) -> None:
        """Tell the workers, before they start on it, which epoch it is."""
        if isinstance(runner.train_loop, EpochBasedTrainLoop):
            self._epoch.fill_(runner.epoch)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Seed what the model draws, such as dropout."""
        seed_all(runner.seed, get_rank(), runner.iter)
        if torch.cuda.is_available():
            torch.cuda.manual_seed_all(torch.default_generator.initial_seed())


def _seed_item(seed: int, epoch: Tensor, index: int) -> None:
    seed_all(seed, int(epoch), index)


def seed_all(*key: int) -> None:
    """Seed Python's, NumPy's and PyTorch's generators of the CPU by some numbers."""
    seeds = np.random.SeedSequence(key).generate_state(3)
    random.seed(int(seeds[0]))
    np.random.seed(seeds[1])
    # Not torch.manual_seed, which keeps a note for CUDA at every call in a worker.
    torch.default_generator.manual_seed(int(seeds[2]))


def skip_batches(loader: Any, count: int) -> None:
    """Leave out the first batches of the next epoch of a loader, without loading them."""
    # PyTorch forbids to change it, for the sake of its other arguments, which do not change here.
    object.__setattr__(loader, 'batch_sampler', _Without(loader.batch_sampler, count))


class _Without:
    """A batch sampler without its first batches, once.

    Args:
        batches: The batch sampler.
        count: How many batches to leave out of the first pass over it.
    """

    def __init__(self, batches: Any, count: int) -> None:
        self.batches = batches
        self.count = count

    def __iter__(self) -> Iterator[list[int]]:
        count, self.count = self.count, 0
        for i, batch in enumerate(self.batches):
            if i >= count:
                yield batch

    def __len__(self) -> int:
        return len(self.batches)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.batches, name)
