"""Environments made up of folders: modules of a few lines, with the metadata that pip leaves."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import packaging

TORCH = """
from unittest.mock import MagicMock as _Anything

class version:
    cuda = {cuda!r}

class cuda:
    is_available = staticmethod(lambda: False)

def __getattr__(name):
    if name.startswith('__'):
        raise AttributeError(name)
    return _Anything()
"""
OPERATORS = """
def nms(boxes, scores, threshold):
    class Kept:
        tolist = staticmethod(lambda: [0])
    return boxes, Kept
"""
#: Both lines in the versions that fit each other: module -> (distribution, version).
OFFICIAL = dict(torch=('torch', '2.1.2'), numpy=('numpy', '1.26.4'),
                cv2=('opencv-python', '4.11.0.86'), mmengine=('mmengine', '0.10.7'),
                mmcv=('mmcv', '2.1.0'), mmdet=('mmdet', '3.3.0'))
ONEDL = dict(torch=('torch', '2.8.0'), numpy=('numpy', '2.2.6'),
             cv2=('opencv-python', '4.12.0.88'), mmengine=('onedl-mmengine', '0.10.12'),
             mmcv=('onedl-mmcv', '2.3.6'), mmdet=('onedl-mmdetection', '3.5.1'))
DEPENDENCIES = dict(PIL='pillow', matplotlib='matplotlib', pycocotools='pycocotools',
                    defusedxml='defusedxml', huggingface_hub='huggingface-hub',
                    safetensors='safetensors')


class Environment(NamedTuple):
    """A folder of modules, and the Python that has it on its path beside this checkout."""

    folder: Path
    python: Path
    root: Path

    def add(self, module: str, version: str, distribution: str = '', body: str = '') -> None:
        """Write a module, and the metadata of the distribution that brings it."""
        self.write(f'{module}/__init__.py', f'__version__ = {version!r}\n{body}')
        if distribution:
            self.describe(distribution, version)

    def describe(self, distribution: str, version: str) -> None:
        """Write the metadata of a distribution."""
        name = distribution.replace('-', '_')
        self.write(f'{name}-{version}.dist-info/METADATA',
                   f'Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n')

    def write(self, name: str, text: str) -> None:
        """Write one file."""
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def fill(self, line: dict[str, tuple[str, str]], cuda: str | None = None) -> None:
        """Write all modules of a line, which work as far as the doctor runs them."""
        for module, (distribution, version) in line.items():
            body = TORCH.format(cuda=cuda) if module == 'torch' else ''
            body += 'import torch\n' if module == 'mmengine' else ''
            self.add(module, version, distribution, body)
        self.write('mmcv/ops/__init__.py', OPERATORS)
        for module, distribution in DEPENDENCIES.items():
            self.add(module, '9.0', distribution)
        self.describe('packaging', packaging.__version__)
        (self.folder / 'packaging').symlink_to(Path(packaging.__file__).parent)

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        """Run this environment's Python away from the checkout, which has no other packages."""
        isolated = [] if self.python != Path(sys.executable) else ['-S']
        path = os.pathsep.join([str(self.folder), str(self.root)])
        variables = {**os.environ, 'PYTHONPATH': path}
        return subprocess.run([str(self.python), *isolated, *arguments], env=variables,
                              cwd=self.folder, capture_output=True, text=True)

    def problems(self) -> dict[str, dict]:
        """The doctor's problems by their topics; that the package does not import goes without."""
        done = self.run('-m', 'tresnet_mm.doctor', '--json')
        assert done.stderr == ''
        said = json.loads(done.stdout)
        assert done.returncode == 1 and not said['ok']
        found = {f['topic']: f for f in said['findings'] if f['verdict'] == 'problem'}
        assert found.pop('tresnet_mm')['commands'] == []
        return found

    def pip(self, arguments: str) -> str:
        """A command line of this environment's pip."""
        return f'{self.python} -m pip {arguments}'
