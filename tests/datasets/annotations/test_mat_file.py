"""MATLAB files: the variables that are asked for, or one error that names the file."""

import sys

import numpy as np
import pytest

from tresnet_mm.datasets.annotations import read_mat

scipy_io = pytest.importorskip('scipy.io')


@pytest.fixture
def path(tmp_path):
    path = str(tmp_path / 'setid.mat')
    scipy_io.savemat(path, dict(
        trnid=np.array([[3, 5]]), tstid=np.array([[1.5]]), names=['a', 'bc']))
    return path


def test_variables_in_the_order_of_the_question(path):
    tstid, trnid = read_mat(path, 'tstid', 'trnid')
    assert tstid.tolist() == [[1.5]]
    assert trnid.tolist() == [[3, 5]]
    assert [text.strip() for text in read_mat(path, 'names')[0]] == ['a', 'bc']


def test_what_is_not_asked_for_is_not_read(path):
    """Damage behind the last variable that is needed does no harm."""
    with open(path, 'ab') as file:
        file.write(b'\1' * 64)
    assert read_mat(path, 'trnid')[0].tolist() == [[3, 5]]


def test_variables_that_are_not_there(path):
    with pytest.raises(ValueError) as error:
        read_mat(path, 'trnid', 'valid', 'testid')
    assert str(error.value) == f'{path!r} has no variable valid, testid'


@pytest.mark.parametrize('content', [
    b'', b'no MATLAB file', b'\0' * 200, b'MATLAB 7.3 MAT-file'.ljust(124) + b'\0\2IM'])
def test_no_file_of_matlab(tmp_path, content):
    path = tmp_path / 'a.mat'
    path.write_bytes(content)
    with pytest.raises(ValueError) as error:
        read_mat(str(path), 'trnid')
    assert str(error.value).startswith(f'{str(path)!r} is no readable MATLAB file of version 5: ')


def test_a_cut_file(path):
    with open(path, 'r+b') as file:
        file.truncate(200)
    with pytest.raises(ValueError, match=r"setid\.mat' is no readable MATLAB file of version 5: "):
        read_mat(path, 'trnid', 'tstid', 'names')


def test_no_ordinary_file(tmp_path, path):
    with pytest.raises(FileNotFoundError) as error:
        read_mat(path.removesuffix('.mat'), 'trnid')  # SciPy alone would add the suffix
    assert str(error.value) == f'{path.removesuffix(".mat")!r} does not exist'
    with pytest.raises(ValueError, match='is a folder, no ordinary file'):
        read_mat(str(tmp_path), 'trnid')


def test_without_scipy(path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'scipy.io', None)
    with pytest.raises(ImportError) as error:
        read_mat(path, 'trnid')
    assert str(error.value) == (
        f'{path!r} is a MATLAB file: reading it needs SciPy (pip install scipy)')
