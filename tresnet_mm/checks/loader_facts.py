"""How many batches a loader's config gives, and of what."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..config_tree import type_name
from .dataset_facts import DatasetFacts


@dataclass
class LoaderFacts:
    """A loader of a config.

    Attributes:
        key: 'train_dataloader', 'val_dataloader' or 'test_dataloader'.
        cfg: Its config.
        datasets: Its innermost datasets.
        processes: How many processes share its images.
    """

    key: str
    cfg: Mapping[str, Any]
    datasets: list[DatasetFacts]
    processes: int = 1

    @property
    def batch_size(self) -> int:
        """Images in a batch of one process."""
        batch_sampler = self.cfg.get('batch_sampler') or {}
        return self.cfg.get('batch_size') or batch_sampler.get('batch_size') or 1

    @property
    def drop_last(self) -> bool:
        """Whether a last, smaller batch is left out."""
        batch_sampler = self.cfg.get('batch_sampler') or {}
        return bool(self.cfg.get('drop_last') or batch_sampler.get('drop_last'))

    @property
    def infinite(self) -> bool:
        """Whether the sampler never ends, as those of iteration-based runs."""
        name = type_name((self.cfg.get('sampler') or {}).get('type'))
        return 'Infinite' in name or 'MultiSource' in name

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The classes of its first dataset that has any."""
        return next((d.classes for d in self.datasets if d.classes), None)

    @property
    def size(self) -> int | None:
        """Images of an epoch over all processes, repetitions counted; None if not known."""
        return _size(self.cfg.get('dataset'), iter([d.size for d in self.datasets]))

    def batches(self) -> int | None:
        """Batches of an epoch in one process; None if not known, or without an end."""
        if self.cfg.get('num_batch_per_epoch'):
            return self.cfg['num_batch_per_epoch']
        if self.size is None or self.infinite:
            return None
        share = math.ceil(self.size / self.processes)
        whole = share / self.batch_size
        return math.floor(whole) if self.drop_last else math.ceil(whole)


def process_count(launcher: str | None) -> int:
    """How many processes a launcher started."""
    name = dict(pytorch='WORLD_SIZE', slurm='SLURM_NTASKS', mpi='OMPI_COMM_WORLD_SIZE').get(
        launcher or 'none', '')
    value = os.environ.get(name, '')
    return int(value) if value.isdigit() else 1


def _size(cfg: Any, sizes: Any) -> int | None:
    """The size of a nested dataset, its innermost ones' sizes taken from an iterator in order."""
    if isinstance(cfg, (list, tuple)):
        return _sum(_size(item, sizes) for item in cfg)
    if not isinstance(cfg, Mapping):
        return None
    if 'datasets' in cfg:
        return _sum(_size(item, sizes) for item in cfg['datasets'])
    if not isinstance(cfg.get('dataset'), (Mapping, list, tuple)):
        return next(sizes)
    inner = _size(cfg['dataset'], sizes)
    name = type_name(cfg.get('type'))
    if name == 'ClassBalancedDataset':  # repeats the images of rare classes: at least as many
        return inner
    return inner if inner is None else inner * cfg.get('times', 1)


def _sum(sizes: Any) -> int | None:
    sizes = list(sizes)
    return None if None in sizes else sum(sizes)
