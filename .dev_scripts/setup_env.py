"""Makes the project's virtual environment; `make env` calls it, and running it again repairs.

Every step looks first whether its result works, so a run after an interrupted one goes on where
that one stopped, and a run after a finished one returns at once. Standard library only.

Environment variables: ``STACK`` (``onedl``, the default, or ``openmmlab``: which line of the mm
packages), ``VENV`` (folder, default ``.venv`` or ``.venv-openmmlab``), ``CXX`` (compiler) and
``TORCH`` (what pip is told instead of the constraints' torch, such as ``torch==2.8.0 --index-url
URL``). With the argument ``demo`` the compiled inplace-abn is left out, which only tests and
benchmarks need.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
FREE_GB = 6
HEARTBEAT = 20  # seconds between two lines about a step that takes long

# The probes run what is needed, since a package can be there and not work: mmcv without its
# operators, or with operators that were compiled against another torch.
PROBE_MMCV = (
    'import torch; from mmcv.ops import nms; '
    'nms(torch.tensor([[0., 0., 1., 1.]]), torch.tensor([1.]), 0.5)'
)
PROBE_ABN = (
    'import torch; from inplace_abn import InPlaceABN; InPlaceABN(2)(torch.randn(4, 2, 3, 3)).sum()'
)


class Step(NamedTuple):
    """One package to install: what pip is told, and the Python code that shows that it works."""

    name: str
    requirement: str
    probe: str
    options: tuple[str, ...] = ()
    note: str = ''


class Stack(NamedTuple):
    """A line of the mm packages: its folder, the file of its versions, and what it is made of."""

    venv: str
    constraints: str
    packages: tuple[str, str, str]  # mmengine, mmcv, mmdet
    extras: str
    also: tuple[str, ...] = ()
    libraries: tuple[tuple[str, str], ...] = ()  # further mm libraries and their modules, for tests
    mim: str = 'onedl-mim'


STACKS = {
    'onedl': Stack('.venv', 'constraints.txt',
                   ('onedl-mmengine', 'onedl-mmcv', 'onedl-mmdetection'),
                   'test,dev,docs,onnx,eval', libraries=(('onedl-mmsegmentation', 'mmseg'),)),
    'openmmlab': Stack('.venv-openmmlab', 'constraints-openmmlab.txt',
                       ('mmengine', 'mmcv', 'mmdet'), 'test,onnx,eval', also=('torchvision',),
                       # The first two are for mmsegmentation, which does not ask for them.
                       libraries=(('ftfy', 'ftfy'), ('regex', 'regex'), ('mmsegmentation', 'mmseg'),
                                  ('mmpretrain', 'mmpretrain'), ('onedl-mmrotate', 'mmrotate')),
                       mim='openmim'),
}  # fmt: skip


class SetupError(Exception):
    """What the user has to put right, in one line."""


def main() -> int:
    """Makes or repairs the environment; returns the exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that pip is ended, too
    try:
        venv = Path(os.environ.get('VENV') or ROOT / stack().venv).absolute()
        demo = sys.argv[1:] == ['demo']
        stamp = venv / '.tresnet_mm'
        if stamp.is_file() and stamp.read_text() in {state(venv), state(venv, demo)}:
            print(f'{venv} is up to date')
            return 0
        check_disk(venv)
        check_compiler()
        build(venv, demo)
    except SetupError as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('\nstopped; the next `make env` goes on from here', file=sys.stderr)
        return 130
    return 0


def build(venv: Path, demo: bool = False) -> None:
    """Runs the steps whose result is missing, then writes the stamp that the next run reads."""
    started = time.monotonic()
    (venv / '.tresnet_mm').unlink(missing_ok=True)
    make_venv(venv)
    tools = ('setuptools', 'setuptools_scm', 'wheel', 'ninja', 'numpy')
    pip(venv, 'build tools', 'install', 'pip>=24', 'packaging', *map(pinned, tools))
    install_torch(venv)
    constraints = write_constraints(venv)
    check_cuda(venv)
    mmengine, mmcv, mmdet = map(pinned, stack().packages)
    steps = [
        *(Step(name, pinned(name), f'import {name}') for name in stack().also),
        Step('mmengine', mmengine, 'import mmengine'),
        Step('mmcv', mmcv, PROBE_MMCV, ('--no-build-isolation',),
             'compiles its operators: 5 to 9 minutes on two cores, unless pip has kept the wheel'),
        Step('mmdet', mmdet, 'import mmdet', ('--no-build-isolation',)),
    ]  # fmt: skip
    for step in steps:
        install(venv, step, constraints)
    if not demo:
        install_abn(venv, constraints)
        install_triton(venv, constraints)
        for name, module in stack().libraries:
            install(venv, Step(module, pinned(name), f'import {module}'), constraints)
    pip(venv, 'tresnet_mm', 'install', '--no-build-isolation', '-c', constraints,
        '-e', f'{ROOT}[{stack().extras if not demo else "eval"}]')  # fmt: skip
    if not demo:
        # Its further dependencies download data sets, and want older packages than the tested ones.
        mim = Step('mim', pinned(stack().mim), 'import mim', ('--no-deps',))
        install(venv, mim, constraints)
    use_headless_opencv(venv)
    if not works(venv, 'import tresnet_mm, mmdet.models'):
        raise SetupError(f'the package does not import: {last_error(venv, "import tresnet_mm")}')
    shutil.rmtree(venv / 'tmp', ignore_errors=True)
    (venv / '.tresnet_mm').write_text(state(venv, demo))
    print(f'done in {minutes(time.monotonic() - started)}: {venv}')


def install_abn(venv: Path, constraints: Path) -> None:
    """Builds inplace-abn, which may be missing on the official line.

    With a torch for CUDA, as PyPI's 2.1 is, it insists on the nvcc of that CUDA even for a CPU.
    pip's cache knows one wheel a version, whatever torch it was built for: only the default line's
    is kept there.
    """
    step = Step('inplace_abn', pinned('inplace-abn'), PROBE_ABN, ('--no-build-isolation',),
                'compiles: about a minute')  # fmt: skip
    if stack() is STACKS['onedl']:
        install(venv, step, constraints)
        return
    step = step._replace(options=(*step.options, '--no-cache-dir', '--no-deps'))
    try:
        install(venv, step, constraints)
    except SetupError as error:
        pip(venv, 'no inplace_abn', 'uninstall', '--yes', 'inplace-abn')
        print(f'inplace-abn is left out, and the tests of it are skipped: {error}', flush=True)


def stack() -> Stack:
    """The line that ``STACK`` names."""
    name = os.environ.get('STACK') or 'onedl'
    if name not in STACKS:
        raise SetupError(f'STACK={name} is none of: {", ".join(STACKS)}')
    return STACKS[name]


def state(venv: Path, demo: bool = False) -> str:
    """What the environment depends on; where the stamp says otherwise, there is work to do.

    A ``TORCH`` once given holds for the runs after it, until another one is given.
    """
    digest = hashlib.sha256()
    for name in ('setup.py', 'tresnet_mm/_requirements.py', stack().constraints,
                 '.dev_scripts/setup_env.py'):  # fmt: skip
        digest.update((ROOT / name).read_bytes())
    torch = os.environ.get('TORCH') or read_torch_choice(venv)
    return f'{digest.hexdigest()} {torch}{" without inplace-abn" if demo else ""}\n'


def read_torch_choice(venv: Path) -> str:
    """The ``TORCH`` that an earlier run was given; empty where none was."""
    file = venv / '.torch'
    return file.read_text() if file.is_file() else ''


def check_disk(venv: Path) -> None:
    """Stops where the disk is too full for torch, the packages and what compiling leaves."""
    folder = next(p for p in [venv, *venv.parents] if p.is_dir())
    free = shutil.disk_usage(folder).free / 1e9
    if free < FREE_GB:
        raise SetupError(f'{free:.1f} GB are free at {folder}, and about {FREE_GB} GB are needed')


def check_compiler() -> None:
    """Stops where no C++ compiler is found, or one that lacks Python's headers."""
    compiler = shlex.split(os.environ.get('CXX', '')) or ['c++']
    if shutil.which(compiler[0]) is None:
        raise SetupError(
            f'no C++ compiler: {compiler[0]} is not on the PATH, and mmcv has to be compiled;'
            ' install one (apt-get install g++, dnf install gcc-c++) or name it in CXX'
        )
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, 'probe.cpp')
        source.write_text('#include <Python.h>\n#include <vector>\nint main() { return 0; }\n')
        include = sysconfig.get_paths()['include']
        result = subprocess.run(
            [*compiler, '-std=c++17', '-fsyntax-only', f'-I{include}', str(source)],
            capture_output=True,
            text=True,
        )
    if result.returncode:
        if 'Python.h' in result.stderr:
            package = 'python{}.{}-dev'.format(*sys.version_info)
            raise SetupError(f'Python.h is not in {include}: apt-get install {package}')
        why = result.stderr.strip().splitlines() or ['no output']
        raise SetupError(f'{compiler[0]} cannot compile C++17: {why[0]}')


def check_cuda(venv: Path) -> None:
    """Stops where a GPU would be used and mmcv's operators for it could not be compiled."""
    code = (
        'import torch; from torch.utils.cpp_extension import CUDA_HOME; '
        'print(torch.version.cuda if torch.cuda.is_available() and not CUDA_HOME else "")'
    )
    cuda = run_python(venv, code).stdout.strip()
    if cuda and not works(venv, PROBE_MMCV):
        raise SetupError(
            f"no nvcc: mmcv's GPU operators need the CUDA {cuda} toolkit; install it or set"
            ' CUDA_HOME (for the CPU alone: CUDA_VISIBLE_DEVICES= make env)'
        )


def make_venv(venv: Path) -> None:
    """Makes the environment where there is none with a working pip."""
    if works(venv, 'import pip'):
        return
    print(f'making {venv} with Python {sys.version.split()[0]}', flush=True)
    made = subprocess.run(
        [sys.executable, '-m', 'venv', '--clear', str(venv)], capture_output=True, text=True
    )
    if made.returncode:
        why = (made.stdout + made.stderr).strip().splitlines()
        raise SetupError(f'venv failed: {" ".join(why[:1])} (apt-get install python3-venv)')


def install_torch(venv: Path) -> None:
    """Installs torch: what ``TORCH`` says, else what is there already, else the constraints'."""
    chosen = os.environ.get('TORCH', '')
    if chosen and not (works(venv, 'import torch') and read_torch_choice(venv) == chosen):
        pip(venv, 'torch', 'install', *shlex.split(chosen))
        (venv / '.torch').write_text(chosen)
    if not works(venv, 'import torch'):
        pip(venv, 'torch', 'install', pinned('torch'))
    if not works(venv, 'import torch'):
        raise SetupError(f'torch does not import: {last_error(venv, "import torch")}')


def write_constraints(venv: Path) -> Path:
    """Writes the constraints with the torch that is installed, so that nothing replaces it.

    And with the triton that it wants for itself, if it is one for a GPU.
    """
    # Not torch.__version__: PyPI's 2.1.2 says 2.1.2+cu121 there, and pip finds no such version.
    code = (
        'from importlib.metadata import distributions; '
        'print(*(f"{d.name}=={d.version}" for d in distributions() if d.name in '
        '("torch", "triton")))'
    )
    text = (ROOT / stack().constraints).read_text()
    for found in run_python(venv, code).stdout.split():
        name = found.partition('==')[0]
        text = re.sub(rf'(?m)^{name}==.*$', found, text)
        print(found.replace('==', ' '), flush=True)
    file = venv / 'constraints.txt'
    file.write_text(text)
    return file


def install_triton(venv: Path, constraints: Path) -> None:
    """Installs triton, whose interpreter runs its kernels' tests, unless torch came with its own.

    There is none for all systems: without it those tests are skipped.
    """
    if stack() is not STACKS['onedl'] or works(venv, 'import triton'):
        return
    try:
        step = Step('triton', pinned('triton'), 'import triton', ('--no-deps',))
        install(venv, step, constraints)
    except SetupError as error:
        print(f'triton is left out, and the tests of it are skipped: {error}', flush=True)


def install(venv: Path, step: Step, constraints: Path) -> None:
    """Installs one package unless it works; if it still does not, anew; and then built anew.

    The second try mends what was cut off half-way, the third an unfit wheel in pip's cache.
    """
    name, _, version = step.requirement.partition('==')
    check = f'from importlib.metadata import version as v; assert v({name!r}) == {version!r}'
    check = f'{check}; {step.probe}'
    if works(venv, check):
        return
    anew = ('--force-reinstall', '--no-deps')
    for options in ((), anew, (*anew, '--no-cache-dir')):
        if options:
            print(f'{step.name} is there but does not work: {" ".join(options)}', flush=True)
        arguments = ('install', *step.options, '-c', constraints, step.requirement, *options)
        pip(venv, step.name, *arguments, note=step.note)
        if works(venv, check):
            return
    raise SetupError(f'{step.name} does not work: {last_error(venv, check)}')


def use_headless_opencv(venv: Path) -> None:
    """Lets the headless OpenCV be the last to write ``cv2``.

    The dependencies name both flavours, which share one folder, and the other one needs libGL,
    which servers lack.
    """
    if not works(venv, 'import cv2; assert cv2.version.headless'):
        headless = pinned('opencv-python-headless')
        pip(venv, 'opencv', 'install', '--force-reinstall', '--no-deps', headless)


def pinned(name: str) -> str:
    """The line of the constraints about a package, as a requirement."""
    for line in (ROOT / stack().constraints).read_text().splitlines():
        if line.partition('==')[0].strip() == name:
            return line.strip()
    raise SetupError(f'{stack().constraints} has no version of {name}')


def pip(venv: Path, what: str, *arguments: object, note: str = '') -> None:
    """Runs pip, its output going to setup.log, and tells at intervals how far it is."""
    log = venv / 'setup.log'
    scratch = venv / 'tmp'  # on the disk whose space was checked; compiling is watched there
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    environment = {**os.environ, 'TMPDIR': str(scratch), 'PIP_DISABLE_PIP_VERSION_CHECK': '1'}
    environment.setdefault('MAX_JOBS', str(parallel_jobs()))
    # Without debug symbols mmcv compiles in half the time.
    environment.setdefault('CFLAGS', '-g0')
    print(f'installing {what}' + (f' ({note})' if note else ''), flush=True)
    command = [str(python_of(venv)), '-m', 'pip', *map(str, arguments)]
    with log.open('ab') as output:
        output.write(f'\n$ {shlex.join(command)}\n'.encode())
        output.flush()
        start_of_output = output.tell()
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
        try:
            wait(process, what, scratch)
        except BaseException:
            process.terminate()
            process.wait()
            raise
    if process.returncode:
        with log.open('rb') as output:
            output.seek(start_of_output)
            lines = output.read().decode(errors='replace').splitlines()
        sys.stderr.write('\n'.join(lines[-25:]) + '\n')
        raise SetupError(f'pip could not install {what}; its last lines are above, all in {log}')


def wait(process: subprocess.Popen, what: str, scratch: Path) -> None:
    """Waits for pip and prints a line every ``HEARTBEAT`` seconds."""
    started = time.monotonic()
    while True:
        try:
            process.wait(timeout=HEARTBEAT)
            return
        except subprocess.TimeoutExpired:
            elapsed = minutes(time.monotonic() - started)
            print(f'  {what}: {elapsed}{compiled(scratch)}', flush=True)


def compiled(scratch: Path) -> str:
    """How many files of a build below ``scratch`` are compiled; empty where there is no build."""
    for ninja in scratch.glob('pip-*/*/build/temp*/build.ninja'):
        total = len(re.findall(r'(?m)^build \S+\.o: ', ninja.read_text(errors='replace')))
        done = sum(1 for _ in ninja.parent.rglob('*.o'))
        return f', {done} of {total} files compiled'
    return ''


def parallel_jobs() -> int:
    """Compilers to run at once: one a core, and no more than memory allows at 1.5 GB each."""
    cores = os.cpu_count() or 1
    try:
        memory = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
    except (ValueError, OSError):
        return cores
    return max(1, min(cores, int(memory / 1.5e9)))


def minutes(seconds: float) -> str:
    """Seconds as `3 min 05 s`."""
    return f'{int(seconds) // 60} min {int(seconds) % 60:02d} s'


def python_of(venv: Path) -> Path:
    """The environment's interpreter."""
    return venv / 'bin' / 'python'


def run_python(venv: Path, code: str) -> subprocess.CompletedProcess:
    """Runs code in the environment, away from the checkout: only what is installed is seen."""
    return subprocess.run(
        [str(python_of(venv)), '-W', 'ignore', '-c', code], capture_output=True, text=True, cwd=venv
    )


def works(venv: Path, code: str) -> bool:
    """Whether code runs in the environment."""
    return python_of(venv).exists() and run_python(venv, code).returncode == 0


def last_error(venv: Path, code: str) -> str:
    """The last line of what code in the environment writes to stderr."""
    lines = run_python(venv, code).stderr.strip().splitlines()
    return lines[-1] if lines else 'it ended without a message'


if __name__ == '__main__':
    sys.exit(main())
