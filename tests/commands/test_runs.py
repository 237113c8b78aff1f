"""Runs that other code starts by the commands: what is handed on, and what is said of a failure."""

import json
import subprocess
import sys

import pytest

from tresnet_mm.commands import runs
from tresnet_mm.commands.runs import RunError


@pytest.fixture
def command(monkeypatch):
    """What is run in the command's place: set its status, its output and what it leaves behind."""
    class Command:
        status, said, calls = 0, '', []

        def leave(self):
            """Nothing."""

        def __call__(self, argv, stdout=None, **settings):
            self.calls.append(argv)
            self.leave()
            return subprocess.CompletedProcess(argv, self.status, self.said if stdout else None)

    found = Command()
    found.calls = []
    monkeypatch.setattr(runs.subprocess, 'run', found)
    return found


def test_the_command_line_of_a_run(command, tmp_path):
    command.leave = lambda: (tmp_path / 'epoch_1.pth').touch()
    command.status = 1
    for options in ((), ('a=1', 'b=2')):
        with pytest.raises(RunError):
            runs.train('c.py', tmp_path, options)
    start = [sys.executable, '-m', 'tresnet_mm', 'train', 'c.py', '--work-dir', str(tmp_path)]
    assert command.calls == [start, [*start, '--cfg-options', 'a=1', 'b=2']]


@pytest.mark.parametrize('quiet, end', [(True, ':\nno GPU'), (False, '')])
def test_a_failure_names_the_command_and_what_was_kept_from_the_terminal(
        command, tmp_path, quiet, end):
    command.status, command.said = 3, 'no GPU'
    with pytest.raises(RunError) as caught:
        runs.train('c.py', tmp_path, quiet=quiet)
    assert str(caught.value) == (
        f'tresnet-mm train c.py --work-dir {tmp_path} failed, exit status 3{end}')


def test_a_training_without_a_checkpoint_has_failed(command, tmp_path):
    with pytest.raises(RunError, match=f'training ended without a checkpoint in {tmp_path}'):
        runs.train('c.py', tmp_path)


def test_a_test_without_metrics_has_failed(command, tmp_path):
    log = tmp_path / '20260101_000000'
    (log / 'vis_data').mkdir(parents=True)
    with pytest.raises(RunError, match=r'testing ended without metrics: there is no .*000\.json'):
        runs.test('c.py', tmp_path / 'a.pth', tmp_path)
    (log / '20260101_000000.json').write_text(json.dumps({'coco/bbox_mAP': 0.5}))
    assert runs.test('c.py', tmp_path / 'a.pth', tmp_path, out=tmp_path / 'o.npz') == {
        'coco/bbox_mAP': 0.5}
    assert command.calls[1][3:] == ['test', 'c.py', str(tmp_path / 'a.pth'), '--out', str(
        tmp_path / 'o.npz'), '--work-dir', str(tmp_path)]
