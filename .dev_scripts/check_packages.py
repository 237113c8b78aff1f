"""Builds the sdist and the wheel and uses both as a stranger would; `make packages` calls it.

Each goes into a new virtual environment that holds this package alone, away from the checkout. What
it depends on is not installed again, since compiling mmcv takes minutes: a folder of links stands
for it, to all that the running environment has except this package. So "empty" means that nothing
of the checkout is in reach, and that pip, which gets no index, finds each dependency the metadata
names among those links. That the dependencies themselves install is what `make env` shows.

Run it with the Python of an environment of either line. What it makes is in a temporary folder.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = 'eval,onnx'

CHILD = """\
_base_ = 'tresnet_mm::_base_/../fcos_tresnet_m.py'
model = dict(bbox_head=dict(num_classes=7))
"""
CODE = """\
import sys
from pathlib import Path
import tresnet_mm
from mmengine import Config
from mmengine.registry import MODELS
folder = Path(tresnet_mm.__file__).parent
assert folder.is_relative_to(sys.prefix), f'{folder} is not below {sys.prefix}'
assert (folder / 'py.typed').is_file(), 'no py.typed'
assert Config.fromfile('child.py').model.bbox_head.num_classes == 7
backbone = MODELS.build(dict(type='TResNet', arch='m', out_indices=(3,)))
assert backbone.out_channels == [2048] or backbone.out_channels == (2048,), backbone.out_channels
"""


def main() -> int:
    """Builds, compares and installs; returns the exit status."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = copy_of_checkout(folder / 'source')
        sdist, wheel = build('sdist', source, folder), build('wheel', source, folder)
        unpacked = folder / 'unpacked'
        shutil.unpack_archive(sdist, unpacked)
        again = build('wheel', next(unpacked.iterdir()), folder / 'again')
        differing = compare(wheel, again)
        if differing:
            print(f'error: the wheel of the sdist differs in {", ".join(differing)}')
            return 1
        print(f'{wheel.name} is the same built from the checkout and from {sdist.name}', flush=True)
        links = link_dependencies(folder / 'dependencies')
        for package in (wheel, sdist):
            use(package, folder / f'venv-{package.suffix[1:]}', links)
            print(f'{package.name} installs and works in an empty environment', flush=True)
        follow('docs/get_started.md', folder / f'venv-{wheel.suffix[1:]}')
        print(f'docs/get_started.md can be followed with {wheel.name}', flush=True)
    return 0


def copy_of_checkout(target: Path) -> Path:
    """The files that git knows or would add, without what was built or trained among them."""
    listed = run('git', '-C', ROOT, 'ls-files', '-z', '--cached', '--others', '--exclude-standard')
    for name in filter(None, listed.split('\0')):
        file = ROOT / name
        if file.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, target / name)
    return target


def build(kind: str, source: Path, target: Path) -> Path:
    """Runs the build backend on a folder; returns the archive it makes."""
    target.mkdir(parents=True, exist_ok=True)
    code = f'from setuptools import build_meta; print(build_meta.build_{kind}({str(target)!r}))'
    return target / run(sys.executable, '-c', code, cwd=source).split()[-1]


def compare(one: Path, other: Path) -> list[str]:
    """The names of the files in which two wheels differ."""
    contents = []
    for wheel in (one, other):
        with zipfile.ZipFile(wheel) as archive:
            contents.append({name: archive.read(name) for name in archive.namelist()})
    first, second = contents
    return sorted(name for name in first.keys() | second.keys()
                  if first.get(name) != second.get(name))


def link_dependencies(target: Path) -> Path:
    """A folder of links to all that is installed here but this package."""
    target.mkdir()
    paths = sysconfig.get_paths()
    for folder in {Path(paths['purelib']), Path(paths['platlib'])}:
        for entry in folder.iterdir():
            ours = 'tresnet_mm' in entry.name.replace('-', '_')
            if not ours and entry.suffix != '.pth' and entry.name != '__pycache__':
                (target / entry.name).symlink_to(entry)
    return target


def use(package: Path, venv: Path, links: Path) -> None:
    """Installs an archive into a new environment and runs what it brings, in an empty folder."""
    run(sys.executable, '-m', 'venv', '--without-pip', venv)
    python, command = venv / 'bin/python', venv / 'bin/tresnet-mm'
    site = run(python, '-c', 'import sysconfig; print(sysconfig.get_paths()["purelib"])').strip()
    Path(site, 'dependencies.pth').write_text(f'{links}\n')
    run(sys.executable, '-m', 'pip', '--python', python, 'install', '--no-index',
        '--no-build-isolation', f'{package}[{EXTRAS}]')
    elsewhere = venv / 'elsewhere'
    elsewhere.mkdir()
    (elsewhere / 'child.py').write_text(CHILD)
    expect('tresnet-mm NAME', run(command, cwd=elsewhere))
    expect("type='TResNet'", run(command, 'print-config', 'fcos_tresnet_m', cwd=elsewhere))
    run(python, '-c', CODE, cwd=elsewhere)
    expect('"ok": true', run(command, 'doctor', '--json', cwd=elsewhere))


def follow(page: str, venv: Path) -> None:
    """Does what a page tells its reader to type, in an empty folder."""
    script = run(sys.executable, ROOT / 'tests/doc_blocks.py', ROOT / page)
    reader = venv / 'reader'
    reader.mkdir()
    run('env', f'PATH={venv / "bin"}:{os.environ["PATH"]}', 'bash', '-c', script, cwd=reader)


def expect(part: str, text: str) -> None:
    """Stops where an output lacks what it has to have."""
    if part not in text:
        sys.exit(f'error: no {part!r} in the output:\n{text}')


def run(*command: object, cwd: Path | None = None) -> str:
    """Runs a program without this process's module paths; stops with its output where it fails."""
    environment = {name: value for name, value in os.environ.items() if name != 'PYTHONPATH'}
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=environment,
                          capture_output=True, text=True)
    if done.returncode:
        shown = ' '.join(map(str, command))
        sys.exit(f'error: {shown} ended with status {done.returncode}:\n{done.stdout}{done.stderr}')
    return done.stdout


if __name__ == '__main__':
    sys.exit(main())
