"""Loader processes keep the memory of one image for the next."""

import multiprocessing
import sys
from types import SimpleNamespace

import pytest
from torch.utils.data import DataLoader, Dataset

from tresnet_mm.datasets import worker_memory


class Images(Dataset):

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> int:
        worker_memory.keep_memory_in_worker()
        return worker_memory.keep_freed_memory.cache_info().currsize


def test_a_worker_keeps_what_it_freed():
    if multiprocessing.get_start_method() != 'fork':
        pytest.skip('other kinds of processes take seconds to start')
    worker_memory.keep_freed_memory.cache_clear()
    assert next(iter(DataLoader(Images(), num_workers=1))).tolist() == [1]
    assert next(iter(DataLoader(Images(), num_workers=0))).tolist() == [0]


@pytest.mark.skipif(sys.platform != 'linux', reason='glibc alone is told to')
def test_arrays_of_images_come_from_what_is_kept(monkeypatch):
    told = []
    monkeypatch.setattr(worker_memory.ctypes, 'CDLL', lambda name: SimpleNamespace(
        mallopt=lambda *option: told.append(option) or 1))
    assert worker_memory.keep_freed_memory.__wrapped__()
    # M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of malloc.h, bytes
    assert told == [(-3, 32 * 2**20), (-1, 64 * 2**20)]


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
