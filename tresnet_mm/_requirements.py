"""The check, on import, that the mm packages are there, new enough, and have their operators."""

import importlib
from types import ModuleType
from typing import NamedTuple

from packaging.version import Version


class Requirement(NamedTuple):
    """A module that has to be importable, and the command that installs it."""

    module: str
    minimum: str
    install: str


MMCV = 'pip install --no-build-isolation onedl-mmcv'
REQUIREMENTS = (
    Requirement('mmengine', '0.10.7', 'pip install onedl-mmengine'),
    # Build isolation hides torch from mmcv's build, which then leaves the operators out.
    Requirement('mmcv', '2.1.0', MMCV),
    Requirement('mmdet', '3.3.0', 'pip install onedl-mmdetection'),
)


def check_requirements() -> None:
    """Checks all of ``REQUIREMENTS`` and mmcv's operators.

    Raises:
        ImportError: A package is missing, broken or too old, or mmcv was built without its
            operators; the message says what to install.
    """
    _import('torch', 'torch', 'pip install torch')
    for module, minimum, install in REQUIREMENTS:
        needed = f'{module}>={minimum}'
        version = _import(module, needed, install).__version__
        if Version(version) < Version(minimum):
            raise ImportError(
                f'tresnet_mm needs {needed}, found {version}; run: {install} --upgrade'
            )
    try:
        importlib.import_module('mmcv.ops')
    except ImportError as error:
        raise ImportError(
            f'tresnet_mm needs mmcv with its operators, and mmcv.ops does not import ({error}): it '
            'was built without them or for another torch; run: '
            f'{MMCV} --no-cache-dir --force-reinstall --no-deps'
        ) from error


def _import(module: str, needed: str, install: str) -> ModuleType:
    """Imports a module; the error of a missing one says how to get it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name == module:
            raise ImportError(
                f'tresnet_mm needs {needed}, which is not installed; run: {install}'
            ) from error
        raise ImportError(f'tresnet_mm needs {needed}, which is broken: {error}') from error
    except ImportError as error:
        raise ImportError(f'tresnet_mm needs {needed}, which does not import: {error}') from error
