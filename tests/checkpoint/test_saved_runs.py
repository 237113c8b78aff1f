"""The checkpoint that the processes of a run go on from, where each may see another disk."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from tresnet_mm.checkpoint import saved_runs
from tresnet_mm.checkpoint.saved_runs import (
    agree_on_checkpoint,
    newest_whole,
    require_same_start,
)
from tresnet_mm.checks.checkpoint_facts import CheckpointFacts

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow

SCRIPT = """
import os, sys, torch
from tresnet_mm.checkpoint.saved_runs import agree_on_checkpoint, require_same_start
torch.distributed.init_process_group('gloo')
try:
    print('agreed on', agree_on_checkpoint(sys.argv[1]))
    require_same_start(int(sys.argv[2]), 8)
except (FileNotFoundError, ValueError) as error:
    print(type(error).__name__, error)
sys.stdout.flush()
os._exit(0)  # taking a group of gloo down aborts at times
"""


def ask(folders, epochs, tmp_path, places=None):
    """What each of two processes says, that look into a folder and have read an epoch."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = str(probe.getsockname()[1])
    places = places or [tmp_path] * 2
    processes = [subprocess.Popen(
        [sys.executable, '-c', SCRIPT, str(folder), str(epoch)], text=True, cwd=places[rank],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(
            os.environ, PYTHONPATH=str(ROOT), RANK=str(rank), WORLD_SIZE='2', LOCAL_RANK=str(rank),
            MASTER_ADDR='127.0.0.1', MASTER_PORT=port))
        for rank, (folder, epoch) in enumerate(zip(folders, epochs, strict=True))]
    answers = [process.communicate(timeout=200) for process in processes]
    assert all(process.returncode == 0 for process in processes), answers
    return [out.strip().splitlines() for out, _ in answers]


@pytest.fixture
def shared(tmp_path):
    folder = tmp_path / 'shared'
    folder.mkdir()
    torch.save(dict(state_dict={}), folder / 'epoch_2.pth')
    return folder


@pytest.mark.reliability(
    done="two processes with different folders resume, the first one's file seen by both",
    happens='both take what the first one finds')
def test_all_take_what_the_first_one_finds(shared, tmp_path):
    (tmp_path / 'own').mkdir()
    for lines in ask([shared, tmp_path / 'own'], [2, 2], tmp_path):
        assert lines[-1] == f'agreed on {shared / "epoch_2.pth"}'


@pytest.mark.reliability(
    done='two processes would go on from different epochs',
    happens='both end, naming where each stands')
def test_processes_that_read_different_files_end(shared, tmp_path):
    for lines in ask([shared, shared], [2, 3], tmp_path):
        assert lines[-1].startswith('ValueError the processes would go on from different places '
                                    '(0: epoch 2, iteration 8, 1: epoch 3, iteration 8)')


@pytest.mark.reliability(
    done='a process does not see the checkpoint of the first one',
    happens='both end, naming the file and the process')
def test_a_process_that_does_not_see_the_file_ends_all(shared, tmp_path):
    """A relative work dir, of two machines whose disks differ."""
    here, there = tmp_path / 'here', tmp_path / 'there'
    (here / 'run').mkdir(parents=True)
    (there / 'run').mkdir(parents=True)
    (shared / 'epoch_2.pth').rename(here / 'run/epoch_2.pth')
    for lines in ask(['run', 'run'], [2, 2], tmp_path, [here, there]):
        assert lines[-1].startswith('FileNotFoundError run/epoch_2.pth, from which the run would')
        assert 'for the processes 1: all machines of a run need the same work dir' in lines[-1]


def test_a_folder_of_shards_is_taken_where_it_is_named(tmp_path):
    (tmp_path / 'epoch_2.pth').mkdir()
    assert newest_whole(tmp_path) is None  # it may be half written
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_2.pth'))
    assert newest_whole(tmp_path) == tmp_path / 'epoch_2.pth'
    assert CheckpointFacts.of_run(Config(dict(work_dir=str(tmp_path))), None, True) is None


def test_one_process_agrees_with_itself(shared):
    """And what two would say is said of what they answer, as the processes above do."""
    assert agree_on_checkpoint(shared) == shared / 'epoch_2.pth'
    assert require_same_start(2, 8) is None


def test_what_the_other_processes_answer_counts(shared, monkeypatch):
    monkeypatch.setattr(saved_runs, 'all_gather_object', lambda answer: [answer, False, False])
    with pytest.raises(FileNotFoundError, match='epoch_2.pth.* not there for the processes 1, 2:'):
        agree_on_checkpoint(shared)
    monkeypatch.setattr(saved_runs, 'all_gather_object', lambda answer: [answer, (3, 8)])
    with pytest.raises(ValueError, match=r'\(0: epoch 2, iteration 8, 1: epoch 3, iteration 8\)'):
        require_same_start(2, 8)
