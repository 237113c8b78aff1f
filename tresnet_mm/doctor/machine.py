"""What the doctor knows of a machine and its Python, without a word on what to do about it."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from importlib import metadata, util
from pathlib import Path
from typing import Any, NamedTuple

from .._requirements import release

SECONDS = 300  # for all imports together, on a cold disk


class Machine(NamedTuple):
    """The interpreter, the hardware's side of CUDA, and what is installed and works.

    ``modules`` maps a name to what `probe` found: ``version``, or ``error`` and, where a module was
    not found, its name as ``missing``.
    """

    python: str
    version: tuple[int, ...]
    system: str
    architecture: str
    has_pip: bool
    compiler: str
    driver: str
    nvcc: str
    distributions: dict[str, str]
    modules: dict[str, dict[str, Any]]

    def works(self, module: str) -> bool:
        """Whether a module was imported, or the step of that name ran through."""
        return module in self.modules and 'error' not in self.modules[module]

    def has(self, module: str) -> bool:
        """Whether a module is there, be it broken."""
        return self.works(module) or self.modules.get(module, {}).get('missing') != module

    def of(self, module: str, key: str = 'version') -> str:
        """What was found out of a module, the empty string where nothing was."""
        return self.modules.get(module, {}).get(key) or ''

    @property
    def torch(self) -> tuple[int, ...]:
        """Major and minor version of torch; empty where there is none that works."""
        return (*release(self.of('torch')), 0, 0)[:2] if self.works('torch') else ()


def look() -> Machine:
    """All about this machine and this Python, in some seconds."""
    return Machine(
        python=sys.executable, version=tuple(sys.version_info[:3]), system=platform.system(),
        architecture=platform.machine(), has_pip=util.find_spec('pip') is not None,
        compiler=find_compiler(), driver=find_driver(), nvcc=find_nvcc(),
        distributions=find_distributions(), modules=probe())


def find_distributions() -> dict[str, str]:
    """The installed distributions and their versions, by their names in lower case with dashes."""
    found: dict[str, str] = {}
    for distribution in metadata.distributions():
        name = distribution.metadata['Name']
        if name:  # half-removed ones have none
            found.setdefault(re.sub(r'[-_.]+', '-', name).lower(), distribution.version or '')
    return found


def find_compiler() -> str:
    """The C++ compiler that a build would take, or the empty string."""
    named = os.environ.get('CXX', '').split()
    return next((c for c in (*named[:1], 'c++', 'g++', 'clang++', 'cl') if shutil.which(c)), '')


def find_driver() -> str:
    """The version of NVIDIA's driver, or the empty string."""
    said = _run('nvidia-smi', '--query-gpu=driver_version', '--format=csv,noheader').splitlines()
    return said[0].strip() if said else ''


def find_nvcc() -> str:
    """The CUDA version of the compiler nvcc, or the empty string."""
    home = os.environ.get('CUDA_HOME') or os.environ.get('CUDA_PATH')
    match = re.search(r'release (\d+\.\d+)',
                      _run(os.path.join(home, 'bin', 'nvcc') if home else 'nvcc', '--version'))
    return match[1] if match else ''


def probe() -> dict[str, dict[str, Any]]:
    """Run `tresnet_mm.doctor.probe` on this Python's path, again after each step that ends it."""
    modules: dict[str, dict[str, Any]] = {}
    while True:
        known = len(modules)
        said, ended = _probe_once(skip=list(modules))
        for line in said.splitlines():
            found = json.loads(line)
            name = found.pop('name')
            # A step's first line has its name alone; its second, if there is one, replaces it.
            modules[name] = found or dict(error=ended)
        if not ended:
            return modules
        if len(modules) == known:
            raise RuntimeError(f'the probe of the packages does not start: {ended}')


def _probe_once(skip: list[str]) -> tuple[str, str]:
    """What the probe prints, and how it ended, the empty string where it came to its end."""
    paths = [os.path.abspath(path) for path in sys.path]
    command = [sys.executable, *(['-S'] if sys.flags.no_site else []), '-m',
               'tresnet_mm.doctor.probe', json.dumps(paths), json.dumps(skip)]
    root = Path(__file__).resolve().parents[2]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired as error:
        said = error.stdout or b''  # bytes on some systems, whatever `text` says
        text = said.decode(errors='replace') if isinstance(said, bytes) else said
        return text, f'it took over {SECONDS} s'
    if done.returncode == 0:
        return done.stdout, ''
    last = done.stderr.strip().splitlines()[-1:]
    return done.stdout, ': '.join([f'it ended the process with status {done.returncode}', *last])


def _run(*command: str) -> str:
    """What a program prints; nothing where it is missing or fails."""
    if shutil.which(command[0]) is None:
        return ''
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ''
    return done.stdout if done.returncode == 0 else ''
