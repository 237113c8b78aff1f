"""Text and JSON from strangers: what is read, exactly, and what is refused before it is opened."""

import gc
import os
import socket

import pytest

from tests.datasets.annotations.folder_backend import below
from tresnet_mm.datasets.annotations import (
    check_regular_file,
    is_local,
    open_text,
    parse_json,
    read_text,
    without_collection,
)


def write(folder, data):
    path = folder / 'a.txt'
    path.write_bytes(data)
    return str(path)


def refusal(function, *args):
    with pytest.raises(ValueError) as error:
        function(*args)
    return str(error.value)


def read_open(path, backend_args=None):
    with open_text(path, backend_args) as file:
        return file.read()


@pytest.mark.parametrize('path, backend_args, local', [
    ('a.txt', None, True), ('a.txt', {}, True), ('a.txt', dict(backend='local'), True),
    ('a.txt', dict(backend='disk'), True), ('a.txt', dict(backend='petrel'), False),
    ('s3://a.txt', None, False), ('s3://a.txt', dict(backend='local'), False)])
def test_what_is_local(path, backend_args, local):
    assert is_local(path, backend_args) is local


def test_an_ordinary_file(tmp_path):
    path = write(tmp_path, b'abc')
    os.symlink(path, tmp_path / 'link')
    assert check_regular_file(path) == check_regular_file(str(tmp_path / 'link')) == 3


@pytest.mark.parametrize('check', [check_regular_file, read_text, read_open])
def test_no_ordinary_file(tmp_path, check):
    os.mkfifo(tmp_path / 'pipe')
    os.symlink('loop', tmp_path / 'loop')
    for name, kind in {'.': 'a folder', 'pipe': 'a named pipe'}.items():
        path = str(tmp_path / name)
        assert refusal(check, path) == f'{path!r} is {kind}, no ordinary file'
    assert refusal(check, '/dev/null') == "'/dev/null' is a device, no ordinary file"
    loop = str(tmp_path / 'loop')
    assert refusal(check, loop) == (
        f'{loop!r} cannot be opened: Too many levels of symbolic links')
    for missing in (str(tmp_path / 'none'), write(tmp_path, b'') + '/b.txt'):
        with pytest.raises(FileNotFoundError) as error:
            check(missing)
        assert str(error.value) == f'{missing!r} does not exist'


def test_a_socket_is_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the path of a socket may have about 100 characters
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind('socket')
        assert refusal(check_regular_file, 'socket') == "'socket' is a socket, no ordinary file"


@pytest.mark.parametrize('name, shown', [
    ('a\0b', repr('a\0b')), ('\0' + 'x' * 198, repr('\0' + 'x' * 198)),
    ('\0' + 'x' * 199, repr('\0' + 'x' * 199 + '...'))])
def test_a_name_that_no_file_has(name, shown):
    assert refusal(check_regular_file, name).startswith(f'{shown} cannot be opened: ')


def test_too_long_a_name_is_shown_in_part():
    assert refusal(check_regular_file, 'x' * 5000) == (
        f"'{'x' * 200}...' cannot be opened: File name too long")


TEXT = 'k\xf6ter\r\n\u732b\n'


@pytest.mark.parametrize('read', [read_text, read_open])
@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig'])
def test_text_is_read_as_it_is(tmp_path, read, encoding):
    path = write(tmp_path, TEXT.encode(encoding))
    assert read(path) == TEXT
    assert read('a.txt', below(tmp_path)) == TEXT
    assert read(write(tmp_path, b'')) == ''


@pytest.mark.parametrize('data, message', [
    (b'a\nb\nk\xf6ter', ': not UTF-8 text (byte 0xf6 in line 3): save it as UTF-8'),
    (b'\n\xe7', ': not UTF-8 text (byte 0xe7 in line 2): save it as UTF-8'),
    (b'\xe7', ': not UTF-8 text (byte 0xe7 in line 1): save it as UTF-8'),
    ('dog'.encode('utf-16-le'),
     ':1: a NUL character: no text, or UTF-16; save it as UTF-8'),
    (b'\n\0', ':2: a NUL character: no text, or UTF-16; save it as UTF-8'),
    (b'a\n\nb\0\n\0', ':3: a NUL character: no text, or UTF-16; save it as UTF-8'),
    (b'\xff\xfe' + 'dog'.encode('utf-16-le'),
     ': not UTF-8 text (it is UTF-16): save it as UTF-8'),
    (b'\xfe\xff' + 'dog'.encode('utf-16-be'),
     ': not UTF-8 text (it is UTF-16): save it as UTF-8'),
])
def test_what_is_no_text(tmp_path, data, message):
    path = write(tmp_path, data)
    assert refusal(read_text, path) == f'{path}{message}'


def test_a_large_file_that_is_no_text(tmp_path):
    path = write(tmp_path, b'a\nb\nk\xf6ter')
    assert refusal(read_open, path) == (
        f'{path}: not UTF-8 text (invalid start byte): save it as UTF-8')


@pytest.mark.parametrize('enabled', [True, False])
def test_collection_is_held_and_then_as_before(enabled):
    before = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        with pytest.raises(KeyError), without_collection():
            assert not gc.isenabled()
            raise KeyError
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if before else gc.disable)()


def test_json():
    assert parse_json('{"a": [1, 2.5, "k\xf6ter", null]}', 'a.json') == {
        'a': [1, 2.5, 'k\xf6ter', None]}
    assert gc.isenabled()


@pytest.mark.parametrize('text, message', [
    ('', 'a.json: not a JSON file: Expecting value: line 1 column 1 (char 0)'),
    ('{"a": 1,\n"b" 2}', "a.json: not a JSON file: Expecting ':' delimiter: line 2 column 5 "
     '(char 13)'),
    ('[' * 100000, 'a.json: not a usable JSON file: it is nested too deeply'),
])
def test_no_json(text, message):
    assert refusal(parse_json, text, 'a.json') == message


def test_a_number_of_too_many_digits():
    assert refusal(parse_json, '9' * 5000, 'a.json').startswith('a.json: not a JSON file: ')
