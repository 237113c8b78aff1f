"""Fixtures that the whole suite shares: where the test data lies, seeds, threads."""

import os

# Before torch is imported anywhere: one thread a worker, since the suite runs one worker a core and
# spinning OpenMP threads that share a core are many times slower than one.
os.environ.setdefault('OMP_NUM_THREADS', '1')
os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
os.environ.setdefault('MKL_NUM_THREADS', '1')
os.environ.setdefault('MPLBACKEND', 'Agg')

import random
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def _first_with(marker: str, candidates: list[Path]) -> Path:
    """The first folder that holds ``marker``; skips the test where there is none."""
    for folder in candidates:
        if (folder / marker).exists():
            return folder
    pytest.skip(f'no {marker} in any of: {", ".join(map(str, candidates))}')


@pytest.fixture(scope='session')
def golden_dir() -> Path:
    """The golden vectors: outputs of the published implementations."""
    return _first_with(
        'asl_loss.npz',
        [ROOT / 'tests/data/golden', ROOT / 'tests/data', ROOT.parent / 'shared/golden'],
    )


@pytest.fixture(scope='session')
def coco_tiny() -> Path:
    """A few real COCO 2017 images with their annotations, in COCO's folder layout."""
    return _first_with(
        'annotations/instances_train2017.json',
        [ROOT / 'tests/data/coco_tiny', ROOT.parent / 'shared/data/coco_tiny'],
    )


@pytest.fixture(scope='session')
def repo_root() -> Path:
    """The checkout: configs/ and tools/ are below it."""
    return ROOT


@pytest.fixture(autouse=True)
def _scope():
    """What a test builds in mmdet's scope, or in mmengine's, sets no default for the next."""
    from mmengine.registry import DefaultScope

    before = dict(DefaultScope._instance_dict)
    yield
    DefaultScope._instance_dict.clear()
    DefaultScope._instance_dict.update(before)


@pytest.fixture(autouse=True)
def _seed() -> None:
    """Every test starts from the same random state, whatever ran before it on its worker."""
    import numpy as np
    import torch

    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
