"""The packages and versions that are needed, and the check on import that they are there and work.

The one table of them: ``setup.py`` takes the requirements and extras from this file, the import
check and the doctor what they look for. ``setup.py`` and the doctor read it where nothing may be
installed yet: what is beyond the standard library is imported inside functions.
"""

import importlib
import re
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import PurePath
from types import ModuleType
from typing import NamedTuple

PYTHON = (3, 10)
DOCTOR = 'python -m tresnet_mm.doctor'


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


class Dependency(NamedTuple):
    """A module that pip installs along, or for one of the extras, where it may be missing."""

    module: str
    distribution: str
    extra: str = ''
    purpose: str = ''
    minimum: str = ''

    def requirement(self) -> str:
        """What pip is told."""
        return f'{self.distribution}>={self.minimum}' if self.minimum else self.distribution


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

#: What pip installs with the package.
DEPENDENCIES = (
    Dependency('numpy', 'numpy'),
    Dependency('packaging', 'packaging'),
    Dependency('PIL', 'Pillow'),
    Dependency('matplotlib', 'matplotlib'),
    Dependency('pycocotools', 'pycocotools'),
    Dependency('defusedxml', 'defusedxml'),
    Dependency('huggingface_hub', 'huggingface_hub'),
    Dependency('safetensors', 'safetensors'),
)

#: What its extras are for, which is not needed otherwise.
OPTIONAL = (
    Dependency('inplace_abn', 'inplace-abn', 'inplace_abn', "InPlaceABN(backend='inplace_abn')",
               '1.1.0'),
    Dependency('triton', 'triton', 'triton', "InPlaceABN(backend='triton')", '3.3'),
    Dependency('faster_coco_eval', 'faster-coco-eval', 'eval', 'FasterCocoMetric'),
    Dependency('sklearn', 'scikit-learn', 'eval', 'the oracle of the average precision'),
    Dependency('onnx', 'onnx', 'onnx', 'tresnet-mm export'),
    Dependency('onnxruntime', 'onnxruntime', 'onnx', 'checking and testing exported files'),
    Dependency('onnxscript', 'onnxscript', 'onnx', "tresnet-mm export with torch's new exporter"),
    Dependency('gradio', 'gradio', 'web', 'tresnet-mm web', '6.31'),
    Dependency('openvino', 'openvino', 'openvino', 'exported files on Intel processors'),
    Dependency('boto3', 'boto3', 's3', "backend_args=dict(backend='s3')"),
    Dependency('tensorboard', 'tensorboard', 'log', 'tresnet-mm train --log tensorboard'),
    Dependency('wandb', 'wandb', 'log', 'tresnet-mm train --log wandb'),
    Dependency('mlflow', 'mlflow-skinny', 'log', 'tresnet-mm train --log mlflow'),
)


def runs_the_doctor() -> bool:
    """Whether this process runs the doctor, which has to work where the package does not import.

    Python imports a package before any module of it, so that nothing but the command line tells.
    """
    arguments = getattr(sys, 'argv', None) or ['']
    program = arguments[0]
    if program == '-m':  # as long as Python looks for the module, whose name stands there then
        program = sys.orig_argv[-len(arguments)].removeprefix('-m')
    if program == 'tresnet_mm.doctor' or program.startswith('tresnet_mm.doctor.'):
        return True
    return PurePath(program).stem in ('tresnet-mm', 'tresnet_mm') and arguments[1:2] == ['doctor']


def at_least(version: str, minimum: str) -> bool:
    """Whether a version is the minimum or a newer one; a pre-release of the minimum is older."""
    match = re.match(r'(\d+(?:\.\d+)*)[-_.]?(a|b|c|rc|alpha|beta|pre|preview|dev)?', version)
    if not match:
        return False
    found, least = release(version), release(minimum)
    return found > least or (found == least and not match[2])


def release(version: str) -> tuple[int, ...]:
    """The numbers that a version begins with, without zeros at the end: '2.1.0+cu121' is (2, 1)."""
    match = re.match(r'\d+(?:\.\d+)*', version)
    numbers = [int(number) for number in match[0].split('.')] if match else []
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


def check_requirements() -> None:
    """Checks all of ``REQUIREMENTS`` and mmcv's operators.

    Raises:
        ImportError: A package is missing, broken or too old, or mmcv was built without its
            operators; the message says what to install and names the doctor, who looks further.
    """
    for requirement in REQUIREMENTS:
        module, minimum, install = requirement.module, requirement.minimum, requirement.command()
        needed = f'{module}>={minimum}'
        with conditions_of(module):
            version = _import(module, needed, install).__version__
        if not at_least(version, minimum):
            raise _unmet(f'{needed}, found {version}', f'{install} --upgrade')
    try:
        importlib.import_module('mmcv.ops')
    except ImportError as error:
        (mmcv,) = (r.command() for r in REQUIREMENTS if r.module == 'mmcv')
        raise _unmet(
            f'mmcv with its operators, and mmcv.ops does not import ({error}): it was built '
            'without them or for another torch',
            f'{mmcv} --no-cache-dir --force-reinstall --no-deps'
        ) from error


def conditions_of(module: str) -> AbstractContextManager[None]:
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
            raise _unmet(f'{needed}, which is not installed', install) from error
        raise _unmet(f'{needed}, which is broken: {error}') from error
    except (ImportError, AssertionError, OSError) as error:  # mmdet asserts the others' versions
        raise _unmet(f'{needed}, which does not import: {error}') from error


def _unmet(what: str, install: str = '') -> ImportError:
    """The error about an environment that is not whole."""
    run = f'; run: {install}' if install else ''
    return ImportError(f'tresnet_mm needs {what}{run} ({DOCTOR} looks over the whole environment)')
