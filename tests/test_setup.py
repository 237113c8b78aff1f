""".dev_scripts/setup_env.py and its shell front: what they refuse, repair and leave alone."""

import importlib.util
import re
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest


@pytest.fixture
def setup_env(repo_root, monkeypatch):
    monkeypatch.delenv('STACK', raising=False)  # `make test STACK=...` hands it on
    file = repo_root / '.dev_scripts/setup_env.py'
    spec = importlib.util.spec_from_file_location('setup_env', file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def stub(tmp_path):
    """Writes an executable shell script into a folder of its own and returns its path."""

    def write(name: str, body: str) -> Path:
        file = tmp_path / 'stubs' / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f'#!/bin/sh\n{body}\n')
        file.chmod(0o755)
        return file

    return write


@pytest.fixture
def front(repo_root, tmp_path):
    """Runs .dev_scripts/setup_env.sh with a PATH of only the named programs and the stubs."""

    def run(*programs: str, **variables: str) -> subprocess.CompletedProcess:
        stubs = tmp_path / 'stubs'
        stubs.mkdir(exist_ok=True)
        for name in ('sh', 'dirname', *programs):
            if not (stubs / name).exists():
                (stubs / name).symlink_to(shutil.which(name))
        return subprocess.run(
            ['sh', str(repo_root / '.dev_scripts/setup_env.sh')],
            env={'PATH': str(stubs), 'VENV': str(tmp_path / 'venv'), **variables},
            capture_output=True,
            text=True,
        )

    return run


def one_error(result: subprocess.CompletedProcess) -> str:
    assert result.returncode == 1
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1
    return lines[0]


def test_no_compiler_stops_before_anything_is_made(front, tmp_path):
    error = one_error(front(PYTHON=sys.executable))
    assert error.startswith('error: no C++ compiler: c++ ')
    assert 'apt-get install g++' in error
    assert not (tmp_path / 'venv').exists()


def test_named_compiler_that_is_missing(front):
    assert 'no C++ compiler: my-c++ ' in one_error(front(PYTHON=sys.executable, CXX='my-c++ -m64'))


def test_missing_python_headers(front, stub):
    compiler = stub('my-c++', 'echo "fatal error: Python.h: No such file" >&2; exit 1')
    error = one_error(front(PYTHON=sys.executable, CXX=str(compiler)))
    assert 'Python.h is not in' in error
    assert f'python3.{sys.version_info[1]}-dev' in error


def test_old_compiler(front, stub):
    compiler = stub('my-c++', 'echo "unknown option -std=c++17" >&2; exit 1')
    error = one_error(front(PYTHON=sys.executable, CXX=str(compiler)))
    assert 'cannot compile C++17: unknown option -std=c++17' in error


OLD_PYTHON = 'case "$2" in *version_info*) exit 1;; *) echo 3.8.18;; esac'


def test_old_python(front, stub):
    stub('python3', OLD_PYTHON)
    error = one_error(front())
    assert error.startswith('error: Python 3.10 or newer is needed, found 3.8.18')
    assert 'PYTHON=' in error


def test_named_old_python_is_not_replaced_by_a_newer_one(front, stub):
    old = stub('python3.8', OLD_PYTHON)
    stub('python3', f'exec {sys.executable} "$@"')
    assert 'found 3.8.18' in one_error(front(PYTHON=str(old)))


def test_newer_python_is_found_where_the_default_is_old(front, stub):
    stub('python3', OLD_PYTHON)
    stub('python3.11', f'exec {sys.executable} "$@"')
    assert 'no C++ compiler' in one_error(front())  # so the check of the version was passed


def test_named_python_that_is_missing(front):
    assert 'PYTHON=python9 is not a program' in one_error(front(PYTHON='python9'))


def test_full_disk(setup_env, monkeypatch, tmp_path):
    usage = namedtuple('usage', 'total used free')
    monkeypatch.setattr(setup_env.shutil, 'disk_usage', lambda _: usage(100e9, 97e9, 3e9))
    with pytest.raises(setup_env.SetupError, match='3.0 GB are free at .* about 6 GB are needed'):
        setup_env.check_disk(tmp_path / 'not' / 'yet' / 'made')
    monkeypatch.setattr(setup_env.shutil, 'disk_usage', lambda _: usage(100e9, 90e9, 10e9))
    setup_env.check_disk(tmp_path)


def test_finished_environment_is_left_alone(setup_env, front, tmp_path, monkeypatch):
    monkeypatch.delenv('TORCH', raising=False)
    venv = tmp_path / 'venv'
    venv.mkdir()
    (venv / '.tresnet_mm').write_text(setup_env.state(venv))
    result = front(PYTHON=sys.executable)  # there is no compiler on its PATH, and it asks for none
    assert result.returncode == 0
    assert 'is up to date' in result.stdout
    assert [p.name for p in venv.iterdir()] == ['.tresnet_mm']
    changed = front(PYTHON=sys.executable, TORCH='torch==2.8.0')
    assert 'no C++ compiler' in one_error(changed)


@pytest.mark.parametrize(('made_for', 'asked_for', 'enough'), [
    ([], ['demo'], True), (['demo'], ['demo'], True), (['demo'], [], False)])  # fmt: skip
def test_the_demo_does_not_wait_for_inplace_abn(
    made_for, asked_for, enough, setup_env, tmp_path, monkeypatch
):
    built = []
    monkeypatch.setenv('VENV', str(tmp_path / 'venv'))
    for name in ('check_disk', 'check_compiler', 'make_venv', 'install_torch', 'check_cuda',
                 'use_headless_opencv'):  # fmt: skip
        monkeypatch.setattr(setup_env, name, lambda venv=None: None)
    monkeypatch.setattr(setup_env, 'write_constraints', lambda venv: tmp_path / 'c')
    monkeypatch.setattr(setup_env, 'pip', lambda venv, what, *args, note='': None)
    monkeypatch.setattr(setup_env, 'works', lambda venv, code: True)
    monkeypatch.setattr(setup_env, 'install', lambda venv, step, file: built.append(step.name))
    (tmp_path / 'venv').mkdir()
    monkeypatch.setattr(sys, 'argv', ['setup_env.py', *made_for])
    assert setup_env.main() == 0
    assert ('inplace_abn' in built) == (made_for == [])
    built.clear()
    monkeypatch.setattr(sys, 'argv', ['setup_env.py', *asked_for])
    assert setup_env.main() == 0
    assert (built == []) == enough


def test_torch_once_chosen_holds(setup_env, tmp_path, monkeypatch):
    monkeypatch.delenv('TORCH', raising=False)
    plain = setup_env.state(tmp_path)
    monkeypatch.setenv('TORCH', 'torch==2.8.0')
    chosen = setup_env.state(tmp_path)
    assert chosen != plain
    (tmp_path / '.torch').write_text('torch==2.8.0')
    monkeypatch.delenv('TORCH')
    assert setup_env.state(tmp_path) == chosen


@pytest.fixture
def pip_calls(setup_env, monkeypatch):
    """Replaces pip by a list of the calls; ``answers`` says what the probes find, in turn."""

    def start(*answers: bool) -> list[tuple]:
        calls, found = [], iter(answers)
        monkeypatch.setattr(setup_env, 'works', lambda venv, code: next(found))
        monkeypatch.setattr(setup_env, 'last_error', lambda venv, code: 'ImportError: no operators')
        monkeypatch.setattr(setup_env, 'pip', lambda venv, what, *args, note='': calls.append(args))
        return calls

    return start


def test_what_works_is_not_installed_again(setup_env, pip_calls, tmp_path):
    calls = pip_calls(True)
    setup_env.install(tmp_path, setup_env.Step('mmcv', 'onedl-mmcv==2.3.6', 'pass'), tmp_path / 'c')
    assert calls == []


def test_cached_wheel_without_operators_is_built_again(setup_env, pip_calls, tmp_path):
    calls = pip_calls(False, False, False, True)
    step = setup_env.Step('mmcv', 'onedl-mmcv==2.3.6', 'pass', ('--no-build-isolation',))
    setup_env.install(tmp_path, step, tmp_path / 'c')
    plain = ('install', '--no-build-isolation', '-c', tmp_path / 'c', 'onedl-mmcv==2.3.6')
    anew = (*plain, '--force-reinstall', '--no-deps')
    assert calls == [plain, anew, (*anew, '--no-cache-dir')]


def test_half_installed_package_is_mended_from_the_cache(setup_env, pip_calls, tmp_path):
    calls = pip_calls(False, False, True)
    setup_env.install(tmp_path, setup_env.Step('mmcv', 'onedl-mmcv==2.3.6', 'pass'), tmp_path / 'c')
    assert [('--force-reinstall' in c, '--no-cache-dir' in c) for c in calls] == [
        (False, False),
        (True, False),
    ]


def test_package_that_never_works_is_an_error(setup_env, pip_calls, tmp_path):
    pip_calls(False, False, False, False)
    step = setup_env.Step('mmcv', 'onedl-mmcv==2.3.6', 'pass')
    with pytest.raises(setup_env.SetupError, match='mmcv does not work: ImportError: no operators'):
        setup_env.install(tmp_path, step, tmp_path / 'c')


@pytest.mark.parametrize(
    ('there', 'chosen', 'expected'),
    [
        ((True, True), '', []),
        ((False, True), '', [('install', 'torch==2.13.0')]),
        ((False, True, True), 'torch==2.8.0 --index-url U',
         [('install', 'torch==2.8.0', '--index-url', 'U')]),
    ],
)  # fmt: skip
def test_torch_that_is_there_is_kept(
    setup_env, pip_calls, tmp_path, monkeypatch, there, chosen, expected
):
    monkeypatch.setenv('TORCH', chosen)
    calls = pip_calls(*there)
    setup_env.install_torch(tmp_path)
    assert calls == expected


def test_constraints_keep_the_installed_torch(setup_env, tmp_path, monkeypatch, repo_root):
    found = subprocess.CompletedProcess([], 0, stdout='torch==2.8.0+cu126 triton==3.4.0\n')
    monkeypatch.setattr(setup_env, 'run_python', lambda venv, code: found)
    written = setup_env.write_constraints(tmp_path).read_text().splitlines()
    original = (repo_root / 'constraints.txt').read_text().splitlines()
    changed = [(a, b) for a, b in zip(original, written, strict=True) if a != b]
    assert changed == [('torch==2.13.0', 'torch==2.8.0+cu126'), ('triton==3.7.1', 'triton==3.4.0')]


def test_every_pinned_name_is_in_the_constraints(setup_env):
    assert setup_env.pinned('onedl-mmcv').startswith('onedl-mmcv==')
    with pytest.raises(setup_env.SetupError, match='no version of no-such-package'):
        setup_env.pinned('no-such-package')


@pytest.mark.parametrize('name', ['onedl', 'openmmlab'])
def test_every_line_has_its_versions_and_its_folder(name, setup_env, monkeypatch, repo_root):
    monkeypatch.setenv('STACK', name)
    stack = setup_env.stack()
    tools = ('torch', 'inplace-abn', 'setuptools', 'setuptools_scm', 'wheel', 'ninja', 'numpy',
             'opencv-python-headless')  # fmt: skip
    for package in (*stack.packages, *stack.also, *tools):
        assert setup_env.pinned(package).startswith(f'{package}==')
    assert f'{stack.venv}/' in (repo_root / '.gitignore').read_text().splitlines()
    lines = {setup_env.STACKS[other] for other in setup_env.STACKS}
    assert len({line.venv for line in lines}) == len({line.constraints for line in lines}) == 2


def test_unknown_line_is_named(front, tmp_path):
    error = one_error(front(PYTHON=sys.executable, STACK='openmm', VENV=''))
    assert error == 'error: STACK=openmm is none of: onedl, openmmlab'


def test_another_line_is_no_finished_environment(setup_env, tmp_path, monkeypatch):
    default = setup_env.state(tmp_path)
    monkeypatch.setenv('STACK', 'openmmlab')
    assert setup_env.state(tmp_path) != default


def test_an_old_torch_gets_an_inplace_abn_of_its_own(setup_env, pip_calls, tmp_path, monkeypatch):
    monkeypatch.setenv('STACK', 'openmmlab')
    calls = pip_calls(False, True)
    setup_env.install_abn(tmp_path, tmp_path / 'c')
    assert len(calls) == 1
    assert '--no-cache-dir' in calls[0]


def test_inplace_abn_that_will_not_build_is_left_out(
    setup_env, pip_calls, tmp_path, monkeypatch, capsys
):
    calls = pip_calls(False, False, False, False)
    with pytest.raises(setup_env.SetupError):
        setup_env.install_abn(tmp_path, tmp_path / 'c')
    monkeypatch.setenv('STACK', 'openmmlab')
    calls = pip_calls(False, False, False, False)
    setup_env.install_abn(tmp_path, tmp_path / 'c')
    assert calls[-1] == ('uninstall', '--yes', 'inplace-abn')
    assert 'left out, and the tests of it are skipped' in capsys.readouterr().out


@pytest.mark.parametrize(('stack', 'there', 'expected'), [
    ('onedl', [False, False, True], 1), ('onedl', [True], 0), ('openmmlab', [], 0)])  # fmt: skip
def test_triton_is_installed_where_torch_brought_none(
    stack, there, expected, setup_env, pip_calls, tmp_path, monkeypatch
):
    monkeypatch.setenv('STACK', stack)
    calls = pip_calls(*there)
    setup_env.install_triton(tmp_path, tmp_path / 'c')
    assert len(calls) == expected
    assert all('triton==3.7.1' in call and '--no-deps' in call for call in calls)


def test_triton_that_cannot_be_installed_is_left_out(
    setup_env, pip_calls, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv('STACK', 'onedl')
    pip_calls(*[False] * 5)
    setup_env.install_triton(tmp_path, tmp_path / 'c')
    assert 'triton is left out' in capsys.readouterr().out


def fake_pip(venv: Path, stub, body: str) -> None:
    (venv / 'bin').mkdir(parents=True)
    (venv / 'bin/python').symlink_to(stub('python', body))


def test_failing_pip_shows_its_last_lines(setup_env, stub, tmp_path, capsys):
    venv = tmp_path / 'venv'
    fake_pip(venv, stub, 'echo "first line"; echo "No matching distribution" >&2; exit 1')
    with pytest.raises(setup_env.SetupError, match='pip could not install mmcv.*setup.log'):
        setup_env.pip(venv, 'mmcv', 'install', 'onedl-mmcv')
    assert 'No matching distribution' in capsys.readouterr().err
    assert 'install onedl-mmcv' in (venv / 'setup.log').read_text()


def test_progress_counts_the_compiled_files(setup_env, stub, tmp_path, capsys, monkeypatch):
    venv = tmp_path / 'venv'
    monkeypatch.setattr(setup_env, 'HEARTBEAT', 0.1)
    fake_pip(
        venv,
        stub,
        'b="$TMPDIR/pip-install-x/onedl-mmcv_y/build/temp.linux"; mkdir -p "$b/ops"\n'
        'printf "build /a/nms.o: compile a\\nbuild /a/roi.o: compile b\\n" > "$b/build.ninja"\n'
        ': > "$b/ops/nms.o"; while [ ! -e "$TMPDIR/seen" ]; do sleep 0.05; done',
    )
    count = setup_env.compiled

    def count_and_let_go(scratch: Path) -> str:
        text = count(scratch)
        if text:
            (scratch / 'seen').touch()
        return text

    monkeypatch.setattr(setup_env, 'compiled', count_and_let_go)
    setup_env.pip(venv, 'mmcv', 'install', 'onedl-mmcv', note='8 to 9 minutes')
    out = capsys.readouterr().out
    assert 'installing mmcv (8 to 9 minutes)' in out
    assert re.search(r'mmcv: \d+ min \d\d s, 1 of 2 files compiled', out)
