"""What is right and wrong with a machine: one finding a topic, in the order of mending."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from .._requirements import DEPENDENCIES, OPTIONAL, PYTHON, REQUIREMENTS, at_least, release
from . import cures
from .machine import Machine

MM = [requirement for requirement in REQUIREMENTS if requirement.official]
MINIMUM = {requirement.module: requirement.minimum for requirement in REQUIREMENTS}


class Finding(NamedTuple):
    """One topic: ``verdict`` is 'ok', 'note' (nothing that is needed) or 'problem'."""

    topic: str
    verdict: str
    text: str
    commands: tuple[str, ...] = ()


def problem(topic: str, text: str, commands: list[str]) -> Finding:
    """A finding that something needed is missing or does not work."""
    return Finding(topic, 'problem', text, tuple(commands))


def examine(machine: Machine) -> list[Finding]:
    """All findings."""
    return [finding for check in CHECKS for finding in check(machine)]


def check_python(machine: Machine) -> Iterator[Finding]:
    """Python itself, and its pip."""
    found = '.'.join(map(str, machine.version))
    where = f'{found} at {machine.python}, {machine.system} {machine.architecture}'
    if machine.version[:2] < PYTHON:
        yield problem('Python', f'{where}; {PYTHON[0]}.{PYTHON[1]} or newer is needed',
                      ['# a newer Python, and with that a new environment: python -m venv'])
    elif not machine.has_pip:
        yield Finding('Python', 'note', f'{where}; it has no pip',
                      (f'{machine.python} -m ensurepip --upgrade',))
    else:
        yield Finding('Python', 'ok', where)


def check_torch(machine: Machine) -> Iterator[Finding]:
    """Whether torch is there, imports, and is new enough."""
    version = machine.of('torch')
    if not machine.works('torch'):
        yield problem('torch', _why(machine, 'torch'), cures.torch(machine))
    elif not at_least(version, MINIMUM['torch']):
        yield problem('torch', f'{version} is older than {MINIMUM["torch"]}', cures.torch(machine))
    else:
        cuda = machine.of('torch', 'cuda')
        yield Finding('torch', 'ok', f'{version}, made for {f"CUDA {cuda}" if cuda else "the CPU"}')


def check_cuda(machine: Machine) -> Iterator[Finding]:
    """The driver, the GPU that torch sees, and nvcc."""
    cuda, gpu = machine.of('torch', 'cuda'), machine.of('torch', 'gpu')
    said = f'driver {machine.driver or "none"}, nvcc {machine.nvcc or "none"}'
    if gpu:
        yield Finding('CUDA', 'ok', f'{said}; torch uses {gpu}')
    elif machine.driver and machine.works('torch'):
        why = ('torch sees no GPU: is the driver too old for its CUDA, or CUDA_VISIBLE_DEVICES set?'
               if cuda else 'torch is made for the CPU and leaves the GPU unused')
        yield Finding('CUDA', 'note', f'{said}; {why}', () if cuda else (
            '# a torch for CUDA, chosen at https://pytorch.org/get-started; mmcv anew after it',))
    else:
        yield Finding('CUDA', 'ok', f'{said}; all runs on the CPU')


def check_numpy(machine: Machine) -> Iterator[Finding]:
    """numpy, and that torch can exchange arrays with it."""
    version = machine.of('numpy') or machine.distributions.get('numpy', '')
    if not machine.has('numpy'):
        yield problem('numpy', _why(machine, 'numpy'), cures.numpy(machine))
    elif machine.torch and machine.torch < (2, 3) and release(version) >= (2,):
        yield problem('numpy', f'{version} does not fit torch {machine.of("torch")}, '
                      'which is compiled for NumPy 1', cures.numpy(machine))
    elif not machine.works('numpy'):
        yield problem('numpy', f'{version}: {_why(machine, "numpy")}', cures.numpy(machine))
    else:
        yield Finding('numpy', 'ok', version)


def check_line(machine: Machine) -> Iterator[Finding]:
    """All mm packages are of one of the two lines, and one distribution brings each module."""
    text = _line_at_fault(machine)
    if text:
        yield problem('line', text, cures.line(machine))
        return
    official = any(name in machine.distributions for name in cures.OFFICIAL.values())
    onedl = any(name in machine.distributions for name in cures.ONEDL.values())
    yield Finding('line', 'ok', "OpenMMLab's own" if official else "OneDL's" if onedl else
                  'no mm package is installed yet')


def check_mm(machine: Machine) -> Iterator[Finding]:
    """mmengine, mmcv with its operators, and mmdet: there, importable, new enough."""
    mends = not _line_at_fault(machine)  # else that is mended by installing all of them anew
    for module in ('mmengine', 'mmcv', 'mmdet'):
        cure = cures.mmcv if module == 'mmcv' else lambda m, module=module: cures.mm(m, module)
        version, waits = machine.of(module), _waits_for(machine, module)
        if waits:
            yield problem(module, f'is there, and does not import without {waits}', [])
        elif not machine.works(module):
            yield problem(module, _why(machine, module), cure(machine) if mends else [])
        elif not at_least(version, MINIMUM[module]):
            yield problem(module, f'{version} is older than {MINIMUM[module]}',
                          cure(machine) if mends else [])
        elif module == 'mmcv' and not machine.works('mmcv.ops'):
            yield problem(module, f'{version} {_why_no_operators(machine)}',
                          cure(machine) if mends else [])
        else:
            ran = f'; nms ran on {machine.of("mmcv.ops", "devices")}' if module == 'mmcv' else ''
            yield Finding(module, 'ok', version + ran)


def check_opencv(machine: Machine) -> Iterator[Finding]:
    """cv2, which several distributions write into one folder."""
    flavours = cures.opencvs(machine)
    named = ', '.join(f'{name} {machine.distributions[name]}' for name in flavours)
    if not machine.works('cv2'):
        yield problem('opencv', f'{named}: {_why(machine, "cv2")}'.lstrip(': '),
                      cures.opencv(machine))
    elif len({machine.distributions[name] for name in flavours}) > 1:
        yield Finding('opencv', 'note', f'{named}: of two versions in one folder, cv2 is '
                      f'{machine.of("cv2")}', tuple(cures.opencv(machine)))
    else:
        yield Finding('opencv', 'ok', f'{machine.of("cv2")} ({named})')


def check_dependencies(machine: Machine) -> Iterator[Finding]:
    """What pip installs with the package."""
    missing = [d for d in DEPENDENCIES[1:] if _is_missing(machine, d.module, d.distribution)]
    broken = [d for d in DEPENDENCIES[1:] if d not in missing and machine.has(d.module)
              and d.module in machine.modules and not machine.works(d.module)]
    for dependency in broken:
        yield problem(dependency.distribution, _why(machine, dependency.module), [cures.pip(
            machine, 'install', '--force-reinstall', '--no-deps', dependency.distribution)])
    if missing:
        names = [dependency.distribution for dependency in missing]
        yield problem('dependencies', f'missing: {", ".join(names)}',
                      [cures.pip(machine, 'install', *names)])
    if not missing and not broken:
        yield Finding('dependencies', 'ok', ', '.join(d.distribution for d in DEPENDENCIES[1:]))


def check_optional(machine: Machine) -> Iterator[Finding]:
    """The extras: a missing package of them is none of the problems, a broken one is."""
    for extra in dict.fromkeys(dependency.extra for dependency in OPTIONAL):
        wanted = [d for d in OPTIONAL if d.extra == extra]
        missing = [d for d in wanted if _is_missing(machine, d.module, d.distribution)]
        broken = [d for d in wanted if d not in missing and d.module in machine.modules
                  and not machine.works(d.module) and not _waits_for(machine, d.module)]
        for dependency in broken:
            yield problem(dependency.distribution, _why(machine, dependency.module),
                          cures.extra(machine, [dependency]))
        there = ', '.join(d.distribution for d in wanted if d not in (*missing, *broken))
        if missing:
            lacks = '; '.join(f'{d.distribution} ({d.purpose})' for d in missing)
            yield Finding(f'[{extra}]', 'note', f'missing: {lacks}',
                          tuple(cures.extra(machine, missing)))
        elif there:
            yield Finding(f'[{extra}]', 'ok', there)


def check_package(machine: Machine) -> Iterator[Finding]:
    """That ``import tresnet_mm`` works; where it does not, what else was found is the reason."""
    if machine.works('tresnet_mm'):
        yield Finding('tresnet_mm', 'ok', f'{machine.of("tresnet_mm")} imports')
    else:
        yield problem('tresnet_mm', machine.of('tresnet_mm', 'error'), [])


CHECKS: tuple[Callable[[Machine], Iterator[Finding]], ...] = (
    check_python, check_torch, check_cuda, check_numpy, check_line, check_mm, check_opencv,
    check_dependencies, check_optional, check_package)


def _is_missing(machine: Machine, module: str, distribution: str) -> bool:
    """Whether neither the module was found nor its distribution."""
    if module in machine.modules:
        return not machine.has(module)
    return distribution.replace('_', '-').lower() not in machine.distributions


def _why(machine: Machine, module: str) -> str:
    """Why a module is not to be used, in words."""
    if not machine.has(module):
        return 'is not installed'
    error = machine.of(module, 'error')
    return f'is there, and does not import: {error}' if error else 'was not tried'


def _waits_for(machine: Machine, module: str) -> str:
    """The other needed module, broken or missing itself, for whose lack one does not import."""
    missing = machine.of(module, 'missing').partition('.')[0]
    others = {r.module for r in REQUIREMENTS} | {d.module for d in DEPENDENCIES} | {'cv2'}
    return missing if missing != module and missing in others else ''


def _why_no_operators(machine: Machine) -> str:
    """Why mmcv's operators do not work."""
    error = machine.of('mmcv.ops', 'error')
    if 'undefined symbol' in error or 'DLL load failed' in error or 'Symbol not found' in error:
        return f'has operators that were compiled for another torch than {machine.of("torch")}' \
               f' ({error})'
    if "No module named 'mmcv._ext'" in error or machine.of('mmcv.ops', 'missing') == 'mmcv.ops':
        return 'was built without its operators'
    if 'cannot open shared object' in error:
        cuda = machine.of('torch', 'cuda')
        return f'has operators for another CUDA than ' \
               f"torch's, which is {cuda or 'none'} ({error})"
    if 'device cuda' in error:
        return f'has operators for the CPU alone, and torch uses a GPU ({error})'
    return f'has operators that do not work: {error}'


def _line_at_fault(machine: Machine) -> str:
    """What is wrong with the choice of mm packages as a whole; empty where nothing is."""
    def named(names: list[str]) -> str:
        return ', '.join(f'{name} {machine.distributions[name]}' for name in names)

    there = machine.distributions
    official = [name for name in cures.OFFICIAL.values() if name in there]
    onedl = [name for name in cures.ONEDL.values() if name in there]
    former = [name for name in cures.FORMER if name in there]
    if official and onedl:
        return f"packages of both lines write the same folders: OpenMMLab's {named(official)}; " \
               f"OneDL's {named(onedl)}"
    if former and (official or onedl or machine.has('mmcv')):
        return f'{named(former)} writes the same folder as mmcv, and has no operators for it'
    if official and machine.torch >= (2, 5) and not machine.works('mmcv.ops'):
        return f"OpenMMLab's own packages ({named(official)}) go with torch 2.1 and do not work " \
               f"beside torch {machine.of('torch')}; OneDL's do"
    return ''
