"""A loader's worker that dies, and what is said of it."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from tresnet_mm.engine.watched_fetch import WatchedFetch, explain_dead_worker

# In a process of its own: PyTorch tells of dead workers for as long as a process lives.
RUN = """
import os, sys
from mmengine.registry import DATASETS
from mmengine.runner import Runner
from tests.engine.conftest import DrawnNumbers, config
from tresnet_mm.commands.command_line import command
from tresnet_mm.commands.run_errors import explained

@DATASETS.register_module()
class KillsWorker(DrawnNumbers):
    def load_data_list(self):
        return [dict(value=float(i), img_path=f'photos/{i}.jpg') for i in range(8)]

    def prepare_data(self, idx):
        if idx == 5:
            os.kill(os.getpid(), self.metainfo['signal'])
        return super().prepare_data(idx)

work_dir, part, hook, number = sys.argv[1:]

@command('train')
def main(argv=None):
    cfg = config(work_dir, 'run', [dict(type=hook)], epochs=1, workers=1)
    cfg.val_dataloader.num_workers = 1
    cfg[f'{part}_dataloader'].dataset.update(
        type='KillsWorker', metainfo=dict(signal=int(number)))
    runner = Runner.from_cfg(cfg)
    with explained(runner):
        runner.train()

main()
"""


@pytest.mark.reliability(
    done="a loader's worker is killed: SIGKILL, SIGBUS, SIGABRT; training or validation",
    happens='the run ends with one line that names the loader, the signal and the file being read')
@pytest.mark.slow
@pytest.mark.parametrize('part, hook, number, how, advice', [
    ('train', 'RepeatableHook', 9, '"Killed"', 'So ends a process for which there is no memory'),
    ('train', 'WorkerHook', 7, '"Bus error"', 'So ends a process for which shared memory is full'),
    ('val', 'WorkerHook', 6, '"Aborted"', 'Look at the file'),
])
def test_a_dead_worker_is_named_with_its_file(repo_root, tmp_path, part, hook, number, how, advice):
    run = subprocess.run(
        [sys.executable, '-c', RUN, str(tmp_path), part, hook, str(number)], cwd=repo_root,
        capture_output=True, text=True, timeout=120)
    assert run.returncode == 2, run.stderr[-3000:]
    last = run.stderr.strip('\0 \n').replace('\0', '').splitlines()[-1]
    assert last.startswith(f'train: error: a worker of {part}_dataloader (process ')
    assert ' while it read photos/5.jpg. ' in last
    # Where the batch was being handed over, the connection breaks before the signal is known.
    assert f') was killed by the signal {how} while it' in last and advice in last or (
        ') died while it' in last)
    assert 'Traceback' not in run.stderr


def test_what_nobody_watched_is_told_without_a_file():
    error = RuntimeError('DataLoader worker (pid(s) 12, 13) exited unexpectedly')
    for loaders in ({}, {'train_dataloader': SimpleNamespace(dataset=[1, 2])}):
        assert explain_dead_worker(error, loaders) == (
            'a worker of a data loader (process 12, 13) died. Look at the file; with '
            'num_workers=0 the error is seen where it happens')
    assert explain_dead_worker(RuntimeError('another'), {}) is None


def test_an_item_without_a_file_is_told_by_its_place():
    loader = SimpleNamespace(dataset=SimpleNamespace())
    loader.dataset.__getitems__ = fetch = WatchedFetch(loader.dataset, 1)
    fetch.reading[0, 0], fetch.reading[0, 1] = 13, 4
    error = RuntimeError('DataLoader worker (pid(s) 12, 13) exited unexpectedly')
    assert explain_dead_worker(error, {'test_dataloader': loader}) == (
        'a worker of test_dataloader (process 13) died while it read item 4 of the data set. Look '
        'at the file; with num_workers=0 the error is seen where it happens')


def test_a_worker_that_reads_nothing_is_not_taken_for_the_dead_one():
    loader = SimpleNamespace(dataset=SimpleNamespace())
    loader.dataset.__getitems__ = fetch = WatchedFetch([10, 20], 2)
    ended = subprocess.Popen(['true'])
    ended.wait()
    fetch.reading[:, 0] = torch.tensor([os.getppid(), ended.pid])
    loaders = {'val_dataloader': loader}
    assert explain_dead_worker(ConnectionResetError(), loaders) is None
    fetch.reading[1, 1] = 1
    assert f'(process {ended.pid}) died' in explain_dead_worker(ConnectionResetError(), loaders)
    assert fetch([1, 0]) == [20, 10]  # outside a worker nothing is kept
    assert fetch.reading.tolist() == [[os.getppid(), -1], [ended.pid, 1]]
