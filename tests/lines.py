"""Marks for the tests of what one of the two lines of packages lacks: each says what it needs."""

import importlib.util
from pathlib import Path

import pytest
from mmengine.utils import get_installed_path

from tresnet_mm._compat import COMPILES, TORCH

needs_compiler = pytest.mark.skipif(
    not COMPILES, reason='needs torch>=2.4: torch.compile through autograd functions')
needs_half_on_cpu = pytest.mark.skipif(
    TORCH < (2, 4), reason='needs torch>=2.4: operations of the CPU in half precision')

# Official mmengine looks for them beside the metadata of an editable install, not in the checkout.
needs_configs_of_ours = pytest.mark.skipif(
    not Path(get_installed_path('tresnet_mm'), '.mim/configs').is_dir(),
    reason='needs a mmengine that finds tresnet_mm:: configs of an editable install')


def needs_config(name: str) -> pytest.MarkDecorator:
    """Mark a test that loads a config which not every release of mmdet has."""
    file = Path(get_installed_path('mmdet'), '.mim/configs', name)
    return pytest.mark.skipif(not file.exists(), reason=f"needs {name} of OneDL's mmdet")


def needs_package(name: str) -> pytest.MarkDecorator:
    """Mark a test of a library that `make env` installs beside one of the two lines only."""
    return pytest.mark.skipif(importlib.util.find_spec(name) is None, reason=f'needs {name}')
