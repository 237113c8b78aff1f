"""Loader processes keep the memory of one image for the next."""

import ctypes
import multiprocessing
import platform
import resource

import numpy as np
import pytest
from torch.utils.data import DataLoader, Dataset

from tresnet_mm.datasets import worker_memory

MANY = 1000  # pages; five arrays of 3 MB, for which there are no huge pages yet, have 3,840


def faults_of_arrays() -> int:
    """Pages that the system has to give for arrays as large as those that were freed before."""
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        arrays = [np.full(3 * 2**20, 1, np.uint8) for _ in range(5)]
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
        del arrays
    return faults


class Images(Dataset):
    def __init__(self, keep: bool) -> None:
        self.keep = keep

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> int:
        libc = ctypes.CDLL(None)  # what glibc starts with, whatever this process has learnt since
        assert libc.mallopt(worker_memory._M_MMAP_THRESHOLD, 128 * 1024)
        assert libc.mallopt(worker_memory._M_TRIM_THRESHOLD, 128 * 1024)
        worker_memory.keep_freed_memory.cache_clear()
        if self.keep:
            worker_memory.keep_memory_in_worker()
        return faults_of_arrays()


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='glibc alone is told to')
def test_a_worker_keeps_what_it_freed():
    if multiprocessing.get_start_method() != 'fork':
        pytest.skip('other kinds of processes take seconds to start')
    plain, kept = (int(next(iter(DataLoader(Images(keep), num_workers=1))))
                   for keep in (False, True))
    assert kept < MANY < plain


def test_the_main_process_is_left_alone(monkeypatch):
    called = []
    monkeypatch.setattr(worker_memory, 'keep_freed_memory', lambda: called.append(1))
    worker_memory.keep_memory_in_worker()
    assert not called


def test_without_glibc_nothing_is_told(monkeypatch):
    monkeypatch.setattr(worker_memory.sys, 'platform', 'darwin')
    assert not worker_memory.keep_freed_memory.__wrapped__()


def test_the_loader_of_images_asks_for_it(monkeypatch, tmp_path):
    from PIL import Image

    from tresnet_mm.datasets import LoadImageChecked, load_image_checked
    called = []
    monkeypatch.setattr(load_image_checked, 'keep_memory_in_worker', lambda: called.append(1))
    Image.new('RGB', (4, 4)).save(tmp_path / 'x.png')
    LoadImageChecked()(dict(img_path=str(tmp_path / 'x.png')))
    assert called
