"""Folders that are there whole or not at all."""

import os
import signal
import subprocess
import sys

import pytest

from tresnet_mm.whole_folder import whole_folder


def test_the_folder_is_there_at_the_end_and_not_before(tmp_path):
    target = tmp_path / 'a/out'
    with whole_folder(target) as part:
        (part / 'file').write_text('text')
        assert not target.exists()
    assert (target / 'file').read_text() == 'text'
    assert os.listdir(tmp_path / 'a') == ['out']


def test_an_empty_folder_is_replaced(tmp_path):
    (tmp_path / 'out').mkdir()
    with whole_folder(tmp_path / 'out') as part:
        (part / 'file').touch()
    assert os.listdir(tmp_path / 'out') == ['file']


@pytest.mark.reliability(
    done='a command fails while it writes a folder',
    happens='nothing is left of the folder')
@pytest.mark.parametrize('error', [ValueError, KeyboardInterrupt, OSError])
def test_an_error_leaves_nothing(error, tmp_path):
    with pytest.raises(error), whole_folder(tmp_path / 'out') as part:
        (part / 'file').touch()
        raise error
    assert os.listdir(tmp_path) == []


def test_what_is_there_is_refused_and_kept(tmp_path):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out/mine').write_text('mine')
    (tmp_path / 'file').write_text('mine')
    for name in ('out', 'file'):
        with pytest.raises(FileExistsError, match=name), whole_folder(tmp_path / name):
            pass
    assert (tmp_path / 'out/mine').read_text() == (tmp_path / 'file').read_text() == 'mine'


@pytest.mark.reliability(
    done='`kill -9` while a folder is written',
    happens='the folder is not there under its name, and the next attempt replaces the rest')
@pytest.mark.skipif(os.name != 'posix', reason='kills its own process')
def test_what_a_killed_process_left_is_replaced(tmp_path):
    code = (f'import os\nfrom tresnet_mm.whole_folder import whole_folder\n'
            f'with whole_folder({str(tmp_path / "out")!r}) as part:\n'
            '    (part / "half").touch()\n    os.kill(os.getpid(), 9)')
    assert subprocess.run([sys.executable, '-c', code]).returncode == -signal.SIGKILL
    assert os.listdir(tmp_path) == ['.out.part']
    with whole_folder(tmp_path / 'out') as part:
        (part / 'whole').touch()
    assert os.listdir(tmp_path) == ['out'] and os.listdir(tmp_path / 'out') == ['whole']
