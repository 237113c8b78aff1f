"""Marks for the tests of what a machine or one of the two lines lacks: each says what it needs."""

import importlib.util
import socket
from pathlib import Path

import pytest
from mmengine.utils import get_installed_path

from tresnet_mm._compat import COMPILES, TORCH, check_triton


def _has_triton() -> bool:
    try:
        check_triton()
    except ImportError:
        return False
    return True


needs_compiler = pytest.mark.skipif(
    not COMPILES, reason='needs torch>=2.4: torch.compile through autograd functions')
needs_half_on_cpu = pytest.mark.skipif(
    TORCH < (2, 4), reason='needs torch>=2.4: operations of the CPU in half precision')
needs_network = pytest.mark.skipif(
    {name for _, name in socket.if_nameindex()} <= {'lo'}, reason='needs another network than lo')
needs_triton = pytest.mark.skipif(
    not _has_triton(), reason='needs triton>=3.3, as it comes with torch>=2.7')


def needs_config(name: str) -> pytest.MarkDecorator:
    """Mark a test that loads a config which not every release of mmdet has."""
    file = Path(get_installed_path('mmdet'), '.mim/configs', name)
    return pytest.mark.skipif(not file.exists(), reason=f"needs {name} of OneDL's mmdet")


def needs_package(name: str) -> pytest.MarkDecorator:
    """Mark a test of a library that `make env` installs beside one of the two lines only."""
    return pytest.mark.skipif(importlib.util.find_spec(name) is None, reason=f'needs {name}')
