"""Fixtures that the whole suite shares: where the test data lies, seeds, threads."""

import os

# Before torch is imported anywhere: one thread a worker, since the suite runs one worker a core and
# spinning OpenMP threads that share a core are many times slower than one.
os.environ.setdefault('OMP_NUM_THREADS', '1')
os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
os.environ.setdefault('MKL_NUM_THREADS', '1')
os.environ.setdefault('MPLBACKEND', 'Agg')
# Before triton is: without a GPU its kernels are tested in its interpreter.
if not os.path.exists('/dev/nvidiactl'):
    os.environ.setdefault('TRITON_INTERPRET', '1')

import gc
import multiprocessing
import random
import shutil
import subprocess
import sys
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


@pytest.fixture(scope='session')
def wheel(repo_root, tmp_path_factory) -> Path:
    """A wheel that is built from a copy, so that nothing is left behind in the checkout."""
    source = tmp_path_factory.mktemp('source')
    for name in ('tresnet_mm', 'configs', 'tools'):
        ignore = shutil.ignore_patterns('__pycache__', '.mim')
        shutil.copytree(repo_root / name, source / name, ignore=ignore)
    for file in repo_root.glob('*.*'):
        if file.is_file():
            shutil.copy2(file, source)
    out = tmp_path_factory.mktemp('wheel')
    built = subprocess.run(
        [sys.executable, '-m', 'pip', 'wheel', '--no-deps', '--no-build-isolation', '-w', str(out),
         str(source)], capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    return next(out.glob('*.whl'))


@pytest.fixture(autouse=True)
def _scope():
    """The scope, logger, message hub and visualizer of a test are no default for the next.

    A logger would go on writing to the output that pytest has captured of its first test.
    """
    import mmengine.runner  # noqa: F401 - with which all of these kinds are there
    from mmengine.utils import ManagerMixin

    def kinds(base: type) -> list[type]:  # each has a table of its own
        return [base, *(kind for child in base.__subclasses__() for kind in kinds(child))]

    before = {kind: dict(kind._instance_dict) for kind in kinds(ManagerMixin)}
    yield
    for kind in kinds(ManagerMixin):
        kind._instance_dict.clear()
        kind._instance_dict.update(before.get(kind, {}))


@pytest.fixture(autouse=True)
def _coco_files():
    """A file that a test's check has read waits for no data set of the next."""
    yield
    annotations = sys.modules.get('tresnet_mm.datasets.annotations')
    if annotations:
        annotations.release_coco_files()


@pytest.fixture(autouse=True)
def _loader_workers():
    """The workers of a loader that failed end with its test.

    The error holds the loader, in a circle. Whichever thread happens to collect it in a later test
    waits seconds for the workers: a web server that was to answer, for one.
    """
    yield
    if multiprocessing.active_children():
        gc.collect()


@pytest.fixture(autouse=True)
def _seed() -> None:
    """Every test starts from the same random state, whatever ran before it on its worker."""
    import numpy as np
    import torch

    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
