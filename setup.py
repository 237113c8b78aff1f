"""The package's metadata; configs/, tools/ and model-index.yml travel inside it, as MIM expects."""

import re
import runpy
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
MIM_FILES = ('configs', 'tools', 'model-index.yml')


def read_version() -> str:
    """The version, without importing the package, which needs everything installed."""
    text = (ROOT / 'tresnet_mm/__init__.py').read_text()
    return re.search(r"^__version__ = '([^']+)'", text, re.MULTILINE).group(1)


class BuildWithMim(build_py):
    """Adds ``tresnet_mm/.mim``, where ``_base_ = 'tresnet_mm::...'`` and MIM look for configs.

    A wheel gets copies; an editable install gets links to the checkout.
    """

    def run(self) -> None:
        super().run()
        root = ROOT if self.editable_mode else Path(self.build_lib)
        mim = root / 'tresnet_mm/.mim'
        shutil.rmtree(mim, ignore_errors=True)
        mim.mkdir(parents=True)
        for name in MIM_FILES:
            source = ROOT / name
            if self.editable_mode:
                (mim / name).symlink_to(Path('../..') / name)
            elif source.is_dir():
                shutil.copytree(source, mim / name, ignore=shutil.ignore_patterns('__pycache__'))
            elif source.exists():
                shutil.copy2(source, mim / name)


TABLE = runpy.run_path(str(ROOT / 'tresnet_mm/_requirements.py'))
TORCH, *MM_INSTALL = [f'{entry.distribution}>={entry.minimum}' for entry in TABLE['REQUIREMENTS']]
# The mm packages are no requirements: pip would build mmcv in isolation, that is without its
# operators. `make env` installs them, and importing the package says what is missing.
OPTIONAL: dict[str, list[str]] = {}
for entry in TABLE['OPTIONAL']:
    OPTIONAL.setdefault(entry.extra, []).append(entry.requirement())

setup(
    name='tresnet_mm',
    version=read_version(),
    description='TResNet for the OpenMMLab stack: object detection and multi-label classification',
    long_description=(ROOT / 'README.md').read_text() if (ROOT / 'README.md').exists() else '',
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    python_requires='>=3.10',
    packages=find_packages(include=['tresnet_mm', 'tresnet_mm.*']),
    package_data={'tresnet_mm': ['py.typed']},
    cmdclass={'build_py': BuildWithMim},
    entry_points={'console_scripts': ['tresnet-mm = tresnet_mm.__main__:main']},
    install_requires=[TORCH, *(entry.requirement() for entry in TABLE['DEPENDENCIES'])],
    extras_require={
        'mminstall': MM_INSTALL,
        **OPTIONAL,
        'test': ['pytest', 'pytest-xdist[psutil]', 'pytest-random-order', 'hypothesis',
                 'coverage', 'selenium',
                 *OPTIONAL['eval'], *OPTIONAL['log'], *OPTIONAL['onnx'], *OPTIONAL['s3'],
                 *OPTIONAL['openvino'], *OPTIONAL['web'],
                 # a stand-in for S3, without what its other services need
                 'moto', 'flask', 'flask-cors', 'py-partiql-parser',
                 # what MIM needs, which is installed without its further dependencies
                 'click', 'colorama', 'model-index', 'pandas', 'requests', 'rich', 'tabulate'],
        'docs': ['mkdocs-material', 'mkdocstrings[python]'],
        'dev': ['ruff', 'import-linter', 'mypy', 'types-defusedxml', 'pip-audit', 'pip-licenses',
                'pre-commit'],
    },
    classifiers=[
        'Development Status :: 4 - Beta',
        'Programming Language :: Python :: 3',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
    ],
)
