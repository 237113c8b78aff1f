"""The commands that mend a machine's installation, written for that machine."""

from __future__ import annotations

import shlex

from .._requirements import REQUIREMENTS, Dependency, release
from .machine import Machine
from .wheels import official_page, official_version, onedl_page

OFFICIAL = {r.module: r.official.partition('==')[0] for r in REQUIREMENTS if r.official}
ONEDL = {r.module: r.distribution for r in REQUIREMENTS if r.official}
#: What else brings a module of these names: mmcv's other flavours have no operators, or are old.
FORMER = ('mmcv-lite', 'mmcv-full')
COMPILER = {
    'Linux': '# a C++ compiler: apt-get install g++, or dnf install gcc-c++',
    'Darwin': 'xcode-select --install',
    'Windows': '# a C++ compiler: the build tools of Visual Studio',
}
TORCH_CPU = 'https://download.pytorch.org/whl/cpu'


def pip(machine: Machine, *arguments: str) -> str:
    """A command line of pip for the Python that the doctor runs in."""
    return shlex.join([machine.python, '-m', 'pip', *arguments])


def is_official(machine: Machine) -> bool:
    """Whether OpenMMLab's own line fits: where it is there already, or torch is as old as it.

    It goes with torch 2.1 and is compiled up to torch 2.4; the first torch that OneDL's is compiled
    for is 2.4.
    """
    if machine.torch >= (2, 5):
        return False
    if any(name in machine.distributions for name in ONEDL.values()):
        return (2, 1) <= machine.torch < (2, 4)
    there = any(name in machine.distributions for name in OFFICIAL.values())
    return there or (2, 1) <= machine.torch < (2, 4)


def distribution(machine: Machine, module: str) -> str:
    """The distribution of an mm package in the line that fits, official ones with the version."""
    if not is_official(machine):
        return ONEDL[module]
    if module == 'mmcv':
        return f'mmcv=={official_version(machine.torch)}'
    (requirement,) = (r for r in REQUIREMENTS if r.module == module)
    return requirement.official


def torch(machine: Machine) -> list[str]:
    """Install torch; the official line's where packages of that are there."""
    index = ['--index-url', TORCH_CPU] if machine.system == 'Linux' and not machine.driver else []
    if is_official(machine):
        return [pip(machine, 'install', 'torch==2.1.2', *index), pip(machine, 'install', 'numpy<2')]
    return [pip(machine, 'install', '--upgrade', 'torch', *index)]


def numpy(machine: Machine) -> list[str]:
    """A numpy of the age of torch, and OpenCVs that take it."""
    if not machine.torch or machine.torch >= (2, 3):
        return [pip(machine, 'install', '--upgrade', 'numpy')]
    return [pip(machine, 'install', 'numpy<2', *(f'{name}<4.12' for name in opencvs(machine)))]


def opencvs(machine: Machine) -> list[str]:
    """The flavours of OpenCV that are installed, all of which write the folder cv2."""
    return [name for name in machine.distributions
            if name.startswith('opencv-') and 'python' in name]


def opencv(machine: Machine) -> list[str]:
    """Write cv2 anew, in the flavour that needs no display and in the version that is there."""
    version = next((machine.distributions[name] for name in opencvs(machine)), '')
    headless = 'opencv-python-headless' + (f'=={version}' if version else '')
    return [pip(machine, 'install', '--force-reinstall', '--no-deps', headless)]


def mm(machine: Machine, module: str) -> list[str]:
    """Install or replace mmengine or mmdet."""
    return [pip(machine, 'install', '--upgrade', distribution(machine, module))]


def mmcv(machine: Machine) -> list[str]:
    """Install mmcv with its operators over whatever is there: from a wheel, else compiled."""
    where = machine.system, machine.architecture, machine.torch, machine.of('torch', 'cuda')
    wanted = distribution(machine, 'mmcv')
    name = wanted.partition('==')[0]
    if not machine.torch:
        return ['# needs torch, which it is compiled for: run the doctor again with torch there']
    page = official_page(*where) if is_official(machine) else onedl_page(*where)
    # Without its dependencies where it is there, which they are along with it.
    anew = ['--force-reinstall', '--no-deps'] if name in machine.distributions else []
    commands = []
    if page:
        commands += [pip(machine, 'install', *anew, '--only-binary', name, '-f', page, wanted)]
        commands += ['# or, where that page has no wheel for this Python, compile it (minutes):']
    return [*commands, *_before_compiling(machine),
            pip(machine, 'install', '--no-cache-dir', '--no-build-isolation', *anew, wanted)]


def _before_compiling(machine: Machine) -> list[str]:
    """What has to be there when mmcv is compiled."""
    commands = []
    if not machine.compiler:
        commands.append(COMPILER.get(machine.system, '# a C++ compiler'))
    cuda = machine.of('torch', 'cuda')
    if machine.of('torch', 'gpu') and release(machine.nvcc)[:1] != release(cuda)[:1]:
        commands.append(f'# the CUDA {cuda} toolkit, whose nvcc compiles the operators for the GPU')
    # mmcv 2.1 and 2.2 import pkg_resources, which newer setuptools lack.
    setuptools = 'setuptools<70' if is_official(machine) else 'setuptools>=80'
    return [*commands, pip(machine, 'install', setuptools, 'wheel', 'packaging', 'ninja')]


def line(machine: Machine) -> list[str]:
    """Take all mm packages away and install those of the line that fits torch."""
    there = [name for name in (*OFFICIAL.values(), *ONEDL.values(), *FORMER)
             if name in machine.distributions]
    bare = machine._replace(distributions={
        name: version for name, version in machine.distributions.items() if name not in there})
    rest = [distribution(bare, module) for module in ('mmengine', 'mmdet')]
    return [pip(machine, 'uninstall', '--yes', *there), *mmcv(bare), pip(machine, 'install', *rest)]


def extra(machine: Machine, dependencies: list[Dependency]) -> list[str]:
    """Install optional packages; inplace-abn is compiled for torch, as mmcv is."""
    compiled = [d.requirement() for d in dependencies if d.module == 'inplace_abn']
    plain = [d.requirement() for d in dependencies if d.module != 'inplace_abn']
    options = ['--no-build-isolation', '--no-cache-dir', '--force-reinstall', '--no-deps']
    return [pip(machine, 'install', *(options if names is compiled else []), *names)
            for names in (compiled, plain) if names]
