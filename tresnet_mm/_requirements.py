"""The versions that are needed, and the check on import that they are there and work.

``setup.py`` reads the table from this file, where nothing may be installed yet: what is beyond the
standard library is imported inside functions.
"""

import importlib
from contextlib import AbstractContextManager, nullcontext
from types import ModuleType
from typing import NamedTuple


class Requirement(NamedTuple):
    """A module that has to be importable, from which distribution, and how that is installed."""

    module: str
    minimum: str
    distribution: str
    install: str
    official: str = ''  # OpenMMLab's own distribution of it, in the version that is tested

    def command(self) -> str:
        """How it is installed beside what is there, which may be OpenMMLab's own line.

        Both lines have the same import names: a package of one over one of the other breaks both.
        """
        if self.official and any(map(_is_installed, ('mmengine', 'mmcv', 'mmdet'))):
            return self.install.replace(self.distribution, self.official)
        return self.install


#: The one table of minimum versions.
REQUIREMENTS = (
    Requirement('torch', '2.1', 'torch', 'pip install torch'),
    Requirement('mmengine', '0.10.7', 'onedl-mmengine', 'pip install onedl-mmengine',
                'mmengine==0.10.7'),
    # Build isolation hides torch from mmcv's build, which then leaves the operators out.
    Requirement('mmcv', '2.1.0', 'onedl-mmcv', 'pip install --no-build-isolation onedl-mmcv',
                'mmcv==2.1.0'),
    Requirement('mmdet', '3.3.0', 'onedl-mmdetection', 'pip install onedl-mmdetection',
                'mmdet==3.3.0'),
)


def check_requirements() -> None:
    """Checks all of ``REQUIREMENTS`` and mmcv's operators.

    Raises:
        ImportError: A package is missing, broken or too old, or mmcv was built without its
            operators; the message says what to install.
    """
    from packaging.version import Version

    for requirement in REQUIREMENTS:
        module, minimum, install = requirement.module, requirement.minimum, requirement.command()
        needed = f'{module}>={minimum}'
        with _conditions_of(module):
            version = _import(module, needed, install).__version__
        if Version(version) < Version(minimum):
            raise ImportError(
                f'tresnet_mm needs {needed}, found {version}; run: {install} --upgrade'
            )
    try:
        importlib.import_module('mmcv.ops')
    except ImportError as error:
        (mmcv,) = (r.command() for r in REQUIREMENTS if r.module == 'mmcv')
        raise ImportError(
            f'tresnet_mm needs mmcv with its operators, and mmcv.ops does not import ({error}): it '
            f'was built without them or for another torch; run: {mmcv} --no-cache-dir '
            '--force-reinstall --no-deps'
        ) from error


def _conditions_of(module: str) -> AbstractContextManager[None]:
    """What has to hold while a module is imported."""
    if module != 'mmdet':
        return nullcontext()
    from ._compat import mmcv_taken_by_mmdet  # needs torch and mmcv, which were imported before
    return mmcv_taken_by_mmdet()


def _is_installed(distribution: str) -> bool:
    from importlib.metadata import PackageNotFoundError, version
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True


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
    except (ImportError, AssertionError) as error:  # mmdet asserts the versions of the others
        raise ImportError(f'tresnet_mm needs {needed}, which does not import: {error}') from error
