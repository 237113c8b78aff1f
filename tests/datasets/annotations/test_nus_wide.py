"""NUS-WIDE's two kinds of lists, each line of them."""

import pytest

from tests.datasets.annotations.folder_backend import below
from tresnet_mm.datasets.annotations import read_image_list, read_label_column


def write(folder, text):
    path = folder / 'list.txt'
    path.write_bytes(text.encode())
    return str(path)


@pytest.mark.parametrize('text', [
    'actor\\0001_2.jpg\nzoo\\b c.jpg', 'actor\\0001_2.jpg\r\nzoo\\b c.jpg\r\n\r\n',
    '\ufeffactor\\0001_2.jpg \n zoo\\b c.jpg\n \n'])
def test_image_list(tmp_path, text):
    assert read_image_list(write(tmp_path, text)) == ['actor\\0001_2.jpg', 'zoo\\b c.jpg']


@pytest.mark.parametrize('text, line', [('', 1), ('\n\n', 1), ('\na.jpg\n', 1), ('a.jpg\n \nb', 2)])
def test_a_line_without_a_name(tmp_path, text, line):
    path = write(tmp_path, text)
    with pytest.raises(ValueError) as error:
        read_image_list(path)
    assert str(error.value) == f'{path}:{line}: no name'


@pytest.mark.parametrize('text', ['1\n0\n1', '1\r\n0\r\n1\r\n', ' 1\n0 \n1\n\n \n'])
def test_label_column(tmp_path, text):
    column = read_label_column(write(tmp_path, text), 3, 'images.txt')
    assert column.dtype == bool
    assert column.tolist() == [True, False, True]


@pytest.mark.parametrize('text, message', [
    ('1\n2\n1', ":2: a label is 1 or 0, got '2'"),
    ('1\n0\n01\n', ":3: a label is 1 or 0, got '01'"),
    ('-1\n', ":1: a label is 1 or 0, got '-1'"),
    ('', ":1: a label is 1 or 0, got ''"),
    ('1\n\n1\n', ":2: a label is 1 or 0, got ''"),
    ('x' * 70, f":1: a label is 1 or 0, got '{'x' * 60}'"),
    ('1\n0\n', ' has 2 lines, but images.txt lists 3 images'),
    ('1\n0\n1\n0\n', ' has 4 lines, but images.txt lists 3 images'),
])
def test_a_column_that_is_refused(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(ValueError) as error:
        read_label_column(path, 3, 'images.txt')
    assert str(error.value) == f'{path}{message}'


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"list\.txt' does not exist"):
        read_image_list(str(tmp_path / 'list.txt'))
    with pytest.raises(FileNotFoundError, match=r"list\.txt' does not exist"):
        read_label_column(str(tmp_path / 'list.txt'), 1, 'images.txt')


def test_another_backend(tmp_path):
    write(tmp_path, '1\n0\n')
    assert read_image_list('list.txt', below(tmp_path)) == ['1', '0']
    column = read_label_column('list.txt', 2, 'images.txt', below(tmp_path))
    assert column.tolist() == [True, False]
