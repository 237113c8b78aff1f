"""Memory of a process that loads images, kept for the next image."""
from __future__ import annotations

import ctypes
import sys
from functools import lru_cache

from torch.utils.data import get_worker_info

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_MOST_KEPT = 64 * 2**20
_LARGEST_KEPT = 32 * 2**20  # glibc takes no more


def keep_memory_in_worker() -> None:
    """In a worker of a data loader, and nowhere else, do `keep_freed_memory`.

    It costs a worker 64 MiB at most. The main process is left alone: a model's tensors would share
    the memory that is kept.
    """
    if get_worker_info() is not None:
        keep_freed_memory()


@lru_cache
def keep_freed_memory() -> bool:
    """Have this process keep the memory of freed arrays, whose size the next image needs again.

    glibc hands it back to the system, and the next arrays are given zeroed pages one by one, which
    for images of some megabytes takes longer than resizing them.

    Returns:
        Whether the C library could be told; others than glibc are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None) if sys.platform == 'linux' else None
    return mallopt is not None and bool(
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT) and mallopt(_M_TRIM_THRESHOLD, _MOST_KEPT))
