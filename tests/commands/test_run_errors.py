"""What a loader's worker finds wrong with the data is said as the main process would say it."""

import errno
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from torch.distributed import DistBackendError
from torch.utils.data import DataLoader

from tresnet_mm.commands.command_line import is_foreseen
from tresnet_mm.commands.run_errors import explained
from tresnet_mm.datasets import CustomMultiLabel

RUNNER = SimpleNamespace(_train_loop=None, _val_loop=None, _test_loop=None, hooks=[])


def ended(dataset, workers):
    """The error that reading a data set ends a run with."""
    with pytest.raises(Exception) as caught, explained(RUNNER):
        list(DataLoader(dataset, batch_size=1, num_workers=workers, collate_fn=list))
    return caught.value


@pytest.fixture
def dataset(tmp_path):
    (tmp_path / 'labels.csv').write_text('img_path,labels\nbroken.jpg,cat\n')
    (tmp_path / 'broken.jpg').write_bytes(b'\xff\xd8\xff\xe0 no more')
    return CustomMultiLabel('labels.csv', data_root=str(tmp_path),
                            pipeline=[dict(type='LoadImageChecked')])


def test_a_broken_image_is_told_alike_with_and_without_workers(dataset):
    alone, by_worker = ended(dataset, 0), ended(dataset, 1)
    assert 'broken.jpg' in str(alone) and 'Traceback' not in str(by_worker)
    assert str(by_worker) == str(alone)
    assert is_foreseen(alone) and is_foreseen(by_worker)


def test_a_missing_image_too(dataset, tmp_path):
    (tmp_path / 'broken.jpg').unlink()
    assert str(ended(dataset, 1)) == str(ended(dataset, 0))


def test_a_bug_in_a_worker_keeps_its_traceback():
    class Buggy:
        def __len__(self):
            return 1

        def __getitem__(self, index):
            raise ValueError('of another library')

    error = ended(Buggy(), 1)
    assert 'Traceback' in str(error) and 'of another library' in str(error)


def test_a_lost_connection_names_the_other_one():
    told = ('[/src/third_party/gloo/gloo/transport/tcp/pair.cc:537] Read error [10.0.0.2]:272: '
            'Connection reset by peer. This is typically caused by a remote worker hanging.')
    with pytest.raises(ValueError) as caught, explained(RUNNER):
        raise RuntimeError(told)
    assert str(caught.value).startswith(
        'process 0 has lost another process of the run (Read error [10.0.0.2]:272: Connection '
        'reset by peer): what ended')
    assert '--resume' in str(caught.value) and is_foreseen(caught.value)


def test_an_error_of_nccl_is_its_first_line():
    with pytest.raises(ValueError, match=r'\(NCCL error in: x\)'), explained(RUNNER):
        raise DistBackendError('NCCL error in: x\nncclRemoteError: a process exited')


def test_other_errors_pass():
    with pytest.raises(RuntimeError, match='^of a layer$'), explained(RUNNER):
        raise RuntimeError('of a layer')


def test_an_error_in_another_thread_is_explained_too():
    """Only the main thread may set what a signal does."""
    def fail():
        with explained(RUNNER):
            raise OSError(errno.ENOSPC, 'No space left on device', 'epoch_1.pth')

    with ThreadPoolExecutor(1) as pool, pytest.raises(ValueError) as caught:
        pool.submit(fail).result()
    with pytest.raises(ValueError) as alone, explained(RUNNER):
        raise OSError(errno.ENOSPC, 'No space left on device', 'epoch_1.pth')
    assert str(caught.value) == str(alone.value) and 'epoch_1.pth' in str(alone.value)
