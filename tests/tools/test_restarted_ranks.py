"""A process of several is killed, and torchrun starts them all again."""

import os
import socket
import subprocess
import sys

import pytest

from tests.engine.conftest import assert_same_state

pytestmark = pytest.mark.slow

# 16 images, two processes of 4 an iteration: two iterations an epoch.
CONFIG = """
_base_ = '{configs}/multilabel_tresnet_tiny_shapes.py'
max_epochs = 3
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = [dict(type='OneCycleFromLR', total_steps=max_epochs, by_epoch=True,
                        convert_to_iter_based=True)]
train_dataloader = dict(batch_size=4, num_workers=0, persistent_workers=False)
val_dataloader = dict(batch_size=4, num_workers=0, persistent_workers=False)
custom_imports = dict(imports=['tresnet_mm', 'tests.tools.kill_rank_hook'])
custom_hooks = [dict(type='EMAHook', momentum=0.1), {killer}]
"""


@pytest.fixture(scope='module')
def shapes(tmp_path_factory):
    from tresnet_mm.commands.make_shapes import main
    folder = tmp_path_factory.mktemp('shapes')
    main([str(folder), '--num-train', '16', '--num-val', '5', '--size', '64'])
    return folder


@pytest.fixture(scope='module')
def train(repo_root, shapes, tmp_path_factory):
    def run(killer='', restarts=0):
        folder = tmp_path_factory.mktemp('run')
        (folder / 'config.py').write_text(
            CONFIG.format(configs=repo_root / 'configs', killer=killer))
        with socket.socket() as probe:
            probe.bind(('127.0.0.1', 0))
            port = probe.getsockname()[1]
        done = subprocess.run(
            ['bash', 'tools/dist_train.sh', str(folder / 'config.py'), '2', '--resume',
             '--work-dir', str(folder)], cwd=repo_root, text=True, timeout=300,
            env=dict(os.environ, PYTHONPATH=str(repo_root), PYTHON=sys.executable,
                     SHAPES_ROOT=str(shapes), PORT=str(port), MAX_RESTARTS=str(restarts)),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return folder, done.returncode, done.stdout

    return run


@pytest.fixture(scope='module')
def whole(train):
    folder, status, output = train()
    assert status == 0, output[-3000:]
    return folder


@pytest.mark.reliability(
    done='`kill -9` of one of two processes in epoch 2, with `MAX_RESTARTS=1 dist_train.sh CONFIG '
         '2 --resume`, where nothing was saved before',
    happens='the run starts anew, is started again from the checkpoint of epoch 1, and ends with '
            'the weights, average and optimiser state of a run without a break, bit for bit')
@pytest.mark.parametrize('rank', [pytest.param(0, marks=pytest.mark.long), 1])
def test_a_killed_process_is_started_again(rank, train, whole):
    folder, status, output = train(f"dict(type='KillRankHook', rank={rank}, iteration=3)", 1)
    assert status == 0, output[-3000:]
    assert 'the run starts anew' in output and f'Going on from {folder / "epoch_1.pth"}' in output
    assert_same_state(folder / 'epoch_3.pth', whole / 'epoch_3.pth')


@pytest.mark.long
@pytest.mark.reliability(
    done='`kill -9` of one of two processes, without `MAX_RESTARTS`',
    happens='the other one ends too, with a status that is not 0, and the last checkpoint is there')
def test_without_restarts_all_processes_end(train):
    folder, status, output = train("dict(type='KillRankHook', rank=1, iteration=3)")
    assert status != 0 and 'SIGKILL' in output
    assert [path.name for path in folder.glob('*.pth')] == ['epoch_1.pth']
