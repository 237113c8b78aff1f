"""``tools/train.py`` killed, stopped and gone wrong, and what becomes of the run."""

import os
import signal
import subprocess
import sys

import pytest
import torch

from tresnet_mm.checkpoint.files import read_file

pytestmark = pytest.mark.slow

OPTIONS = ['train_dataloader.batch_size=2', 'train_cfg.max_epochs=2', 'max_epochs=2',
           'param_scheduler.0.total_steps=2', 'default_hooks.logger.interval=1',
           'val_dataloader.num_workers=0', 'val_dataloader.persistent_workers=False']


@pytest.fixture(scope='module')
def shapes(tmp_path_factory):
    from tresnet_mm.commands.make_shapes import main
    folder = tmp_path_factory.mktemp('shapes')
    main([str(folder), '--num-train', '16', '--num-val', '4', '--size', '64'])
    return folder


def start(repo_root, shapes, work_dir, *arguments, options=()):
    environment = dict(os.environ, SHAPES_ROOT=str(shapes), PYTHONPATH=str(repo_root))
    return subprocess.Popen(
        [sys.executable, 'tools/train.py', 'configs/fcos_tresnet_tiny_shapes.py', '--work-dir',
         str(work_dir), *arguments, '--cfg-options', *OPTIONS, *options],
        cwd=repo_root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_for(process, text):
    """Read a run's output up to a line with ``text``."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return
    pytest.fail(f'ended without {text!r}: {"".join(lines)[-3000:]}')


def finish(process):
    output = process.communicate(timeout=300)[0]
    assert process.returncode == 0, output[-3000:]
    return output


def weights(folder):
    return read_file(folder / 'epoch_2.pth')['state_dict']


def assert_same(one, other):
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope='module')
def whole(repo_root, shapes, tmp_path_factory):
    """The weights that the run reaches where nothing happens to it."""
    folder = tmp_path_factory.mktemp('whole')
    finish(start(repo_root, shapes, folder))
    return weights(folder)


@pytest.mark.reliability(
    done='`kill -9` in epoch 2; the file that `last_checkpoint` names is gone',
    happens='`--resume` goes on from epoch 1; final weights are those of a run without a break, '
            'bit for bit')
def test_killed(repo_root, shapes, whole, tmp_path):
    process = start(repo_root, shapes, tmp_path)
    wait_for(process, '[2][3/8]')
    process.kill()
    process.communicate()
    # As if it had been killed while it saved: the file was gone, the new one not there.
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_2.pth'))
    output = finish(start(repo_root, shapes, tmp_path, '--resume'))
    assert f'Going on from {tmp_path / "epoch_1.pth"}' in output
    assert_same(weights(tmp_path), whole)


@pytest.mark.reliability(
    done='SIGTERM within an epoch',
    happens='a checkpoint is saved, status 143; `--resume` goes on within the epoch to the same '
            'weights, bit for bit')
def test_stopped_by_a_signal(repo_root, shapes, whole, tmp_path):
    process = start(repo_root, shapes, tmp_path)
    wait_for(process, '[1][3/8]')
    process.send_signal(signal.SIGTERM)
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 128 + signal.SIGTERM
    assert 'Go on with the same command and --resume' in output and 'Traceback' not in output
    (stopped,) = tmp_path.glob('*.pth')
    assert stopped.name.startswith('epoch_0_iter_')
    output = finish(start(repo_root, shapes, tmp_path, '--resume'))
    assert f'Going on from {stopped}' in output
    assert not stopped.exists()
    assert_same(weights(tmp_path), whole)


@pytest.mark.reliability(
    done='a learning rate at which the loss becomes infinite',
    happens='the run stops before the step, names iteration and images, and saves its state; '
            '`replay` comes to the same values')
def test_stopped_by_a_loss_that_is_not_finite(repo_root, shapes, tmp_path):
    process = start(repo_root, shapes, tmp_path, options=['optim_wrapper.optimizer.lr=1e9'])
    output = process.communicate(timeout=300)[0]
    assert process.returncode in (1, 2)
    last = output.strip().splitlines()[-1]
    assert last.startswith('train: error: iteration ') and 'is not finite' in last
    assert 'Traceback' not in output and '.jpg' in last
    (saved,) = tmp_path.glob('not_finite_*.pth')
    assert all(value.isfinite().all() for name, value in read_file(saved)['state_dict'].items()
               if not name.endswith(('running_mean', 'running_var')))
    environment = dict(os.environ, SHAPES_ROOT=str(shapes), PYTHONPATH=str(repo_root))
    again = subprocess.run(
        [sys.executable, 'tools/replay.py', str(saved)], cwd=repo_root, env=environment,
        capture_output=True, text=True, timeout=300)
    assert again.returncode == 0, again.stderr[-3000:]
    said = last.partition('error: ')[2].partition('. Lower')[0]
    assert said in again.stdout


@pytest.mark.reliability(
    done='no room for a checkpoint',
    happens='one line names the file; nothing half-written is left')
def test_no_room_for_a_checkpoint(repo_root, shapes, tmp_path):
    """A limit on the size of files, which is met in the first checkpoint."""
    import resource
    environment = dict(os.environ, SHAPES_ROOT=str(shapes), PYTHONPATH=str(repo_root))
    run = subprocess.run(
        [sys.executable, 'tools/train.py', 'configs/fcos_tresnet_tiny_shapes.py', '--work-dir',
         str(tmp_path), '--cfg-options', *OPTIONS], cwd=repo_root, env=environment,
        capture_output=True, text=True, timeout=300,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4_000_000, 4_000_000)))
    assert run.returncode in (1, 2), (run.stdout + run.stderr)[-3000:]
    last = run.stderr.strip().splitlines()[-1]
    assert 'epoch_1.pth cannot be written: File too large' in last and '--resume' in last
    assert not [*tmp_path.glob('*.pth'), *tmp_path.glob('.*part')]
