"""Runs that slurm and MPI start, by the variables that they set; neither has to be installed."""

import os
import socket
import subprocess
import sys

import pytest
import torch
from mmengine.config import Config

from tresnet_mm.commands import launch, process_group
from tresnet_mm.commands.process_group import is_restarted, require_variables

SLURM = dict(SLURM_PROCID='{rank}', SLURM_LOCALID='{rank}', SLURM_NTASKS='2', SLURM_NNODES='1',
             SLURM_NODELIST='node[1-2]')
MPI = dict(OMPI_COMM_WORLD_RANK='{rank}', OMPI_COMM_WORLD_LOCAL_RANK='{rank}',
           OMPI_COMM_WORLD_SIZE='2', OMPI_COMM_WORLD_LOCAL_SIZE='2', MASTER_ADDR='127.0.0.1')
#: Says the first machine's name, if it is asked as mmengine asks.
SCONTROL = """#!/bin/sh
[ "$*" = "show hostname node[1-2]" ] || [ "$*" = "show hostname node1 node2" ] || exit 1
echo 127.0.0.1
echo 127.0.0.2
"""
#: Trains by the tool, and says where the process has found itself.
TRAIN = """
import os, sys, torch.distributed as dist
from tresnet_mm.commands import train
run = train.run
def told(runner):
    run(runner)
    print('PLACE', dist.get_rank(), dist.get_world_size(), dist.get_backend(),
          os.environ['LOCAL_RANK'], os.environ['MASTER_ADDR'], os.environ['MASTER_PORT'])
    sys.stdout.flush()
    dist.barrier()
    os._exit(0)  # taking a group of gloo down aborts at times
train.run = told
train.main()
"""
OPTIONS = ['train_dataloader.batch_size=4', 'train_cfg.max_epochs=1', 'max_epochs=1',
           'param_scheduler.0.total_steps=1', 'default_hooks.logger.interval=1',
           *(f'{loader}_dataloader.{key}' for loader in ('train', 'val')
             for key in ('num_workers=0', 'persistent_workers=False'))]


@pytest.fixture(scope='module')
def train(repo_root, tmp_path_factory):
    """Train in two processes, each with variables of its own; returns folder and places."""
    from tresnet_mm.commands.make_shapes import main
    shapes, tools = tmp_path_factory.mktemp('shapes'), tmp_path_factory.mktemp('bin')
    main([str(shapes), '--num-train', '16', '--num-val', '5', '--size', '64'])
    (tools / 'scontrol').write_text(SCONTROL)
    (tools / 'scontrol').chmod(0o755)
    clean = {name: value for name, value in os.environ.items()
             if not name.startswith(('SLURM_', 'OMPI_', 'MASTER_', 'LOCAL_'))}

    def run(launcher, variables):
        with socket.socket() as probe:
            probe.bind(('127.0.0.1', 0))
            port = str(probe.getsockname()[1])
        folder = tmp_path_factory.mktemp(launcher)
        processes = [subprocess.Popen(
            [sys.executable, '-c', TRAIN, 'configs/multilabel_tresnet_tiny_shapes.py', '--work-dir',
             str(folder), '--launcher', launcher, '--cfg-options', *OPTIONS],
            cwd=repo_root, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=dict(
                clean, PYTHONPATH=str(repo_root), SHAPES_ROOT=str(shapes), MASTER_PORT=port,
                PATH=f'{tools}:{os.environ["PATH"]}',
                **{name: value.format(rank=rank) for name, value in variables.items()}))
            for rank in range(2)]
        outputs = [process.communicate(timeout=300)[0] for process in processes]
        assert [process.returncode for process in processes] == [0, 0], outputs
        places = [line.split()[1:] for output in outputs for line in output.splitlines()
                  if line.startswith('PLACE')]
        assert places == [[str(rank), '2', 'gloo', str(rank), '127.0.0.1', port]
                          for rank in range(2)]
        return folder

    return run


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.reliability(
    done="two processes with slurm's variables, with those of Open MPI, and with torchrun's, on "
         'the CPU (`scontrol` stood in for)',
    happens='each finds rank, number of processes, address and port as mmengine reads them, and '
            'all three trainings end in the same weights, bit for bit')
@pytest.mark.skipif(torch.cuda.is_available(), reason='needs a machine without GPUs')
def test_slurm_mpi_and_torchrun_train_alike(train):
    folders = [train('slurm', SLURM), train('mpi', MPI), train('pytorch', dict(
        RANK='{rank}', LOCAL_RANK='{rank}', WORLD_SIZE='2', LOCAL_WORLD_SIZE='2',
        MASTER_ADDR='127.0.0.1'))]
    for folder in folders[1:]:
        assert_same_weights(folder, folders[0])


def assert_same_weights(one, other):
    from tresnet_mm.checkpoint.files import read_file
    one, other = (read_file(folder / 'epoch_1.pth')['state_dict'] for folder in (one, other))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def bare(monkeypatch):
    """No launcher's variables."""
    names = {name for name in os.environ if name.startswith(
        ('SLURM_', 'OMPI_', 'MASTER_', 'TORCHELASTIC_'))}
    for name in (*names, 'RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'LOCAL_WORLD_SIZE',
                 'GLOO_SOCKET_IFNAME'):
        monkeypatch.setenv(name, '')  # so that what the call sets is undone
        monkeypatch.delenv(name)
    return monkeypatch


@pytest.mark.parametrize('launcher, said', [
    ('pytorch', 'RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT, not set here: start by tools/dist_'),
    ('slurm', 'SLURM_PROCID, SLURM_NTASKS, SLURM_NODELIST, not set here: start by tools/slurm_'),
    ('mpi', 'OMPI_COMM_WORLD_LOCAL_RANK, MASTER_ADDR, not set here: start by mpirun -x MASTER')])
@pytest.mark.reliability(
    done='`--launcher pytorch`, `slurm` or `mpi` without what the launcher sets',
    happens='one line names the variables and how to start')
def test_a_launcher_that_was_not_there_is_named(launcher, said, bare):
    with pytest.raises(ValueError, match=f'--launcher {launcher} reads .*{said}'):
        require_variables(launcher)


def test_slurm_without_scontrol_needs_an_address(bare, tmp_path):
    for name in ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_NODELIST'):
        bare.setenv(name, '1')
    bare.setenv('PATH', str(tmp_path))
    with pytest.raises(ValueError, match='scontrol.*set MASTER_ADDR'):
        require_variables('slurm')
    bare.setenv('MASTER_ADDR', 'node1')
    require_variables('slurm')


@pytest.mark.parametrize('variables, several', [
    (dict(WORLD_SIZE='2', LOCAL_WORLD_SIZE='2', SLURM_NNODES='2'), False),
    (dict(WORLD_SIZE='4', LOCAL_WORLD_SIZE='2', SLURM_NNODES='1'), True),
    (dict(WORLD_SIZE='4', SLURM_NNODES='1'), False), (dict(WORLD_SIZE='4', SLURM_NNODES='2'), True),
    (dict(OMPI_COMM_WORLD_SIZE='4', OMPI_COMM_WORLD_LOCAL_SIZE='4'), False),
    (dict(OMPI_COMM_WORLD_SIZE='4', OMPI_COMM_WORLD_LOCAL_SIZE='2'), True)])
def test_whether_there_are_other_machines(variables, several, bare):
    for name, value in variables.items():
        bare.setenv(name, value)
    assert launch._has_other_machines() is several


@pytest.mark.parametrize('launcher, size, given, hooks', [
    ('pytorch', '4', [], ['HostWatchHook']), ('pytorch', '2', [], []), ('none', '4', [], []),
    ('pytorch', '4', [dict(type='HostWatchHook', limit=9)], ['HostWatchHook'])])
def test_several_machines_are_watched(launcher, size, given, hooks, bare):
    bare.setenv('WORLD_SIZE', size)
    bare.setenv('LOCAL_WORLD_SIZE', '2')
    cfg = Config(dict(launcher=launcher, custom_hooks=given))
    launch.add_host_watch(cfg)
    assert [hook.type for hook in cfg.custom_hooks] == hooks
    assert [hook.get('limit') for hook in given] == [hook.get('limit') for hook in cfg.custom_hooks
                                                    ][:len(given)]


def test_with_gpus_mmengine_starts_the_group_and_chooses_the_gpu(bare):
    done = []
    bare.setattr('torch.cuda.is_available', lambda: True)
    bare.setattr(process_group, 'set_multi_processing', lambda **settings: done.append(settings))
    bare.setattr(process_group, 'init_dist', lambda *names, **settings: done.append(
        (*names, settings, torch.cuda.set_device)))
    set_device = torch.cuda.set_device
    process_group.start_group('slurm', dict(dist_cfg=dict(backend='nccl')),
                              lambda: done.append('before'))
    assert done == [dict(distributed=True), 'before', ('slurm', dict(backend='nccl'), set_device)]


def test_a_restart_is_known_where_the_agent_keeps_the_store(bare):
    assert not is_restarted()
    bare.setenv('TORCHELASTIC_RESTART_COUNT', '1')
    assert not is_restarted()
    bare.setenv('TORCHELASTIC_USE_AGENT_STORE', 'True')
    assert is_restarted()
