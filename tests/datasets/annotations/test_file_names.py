"""File names: inside the image folder, unless that is allowed."""

import os

import pytest

from tresnet_mm.datasets.annotations import ImageFolder


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'img/sub').mkdir(parents=True)
    for name in ('secret.png', 'img/a.png', 'img/sub/b.png', 'img/c d .png', 'img/e\\f.png'):
        (tmp_path / name).touch()
    (tmp_path / 'img/out.png').symlink_to(tmp_path / 'secret.png')
    (tmp_path / 'img/in.png').symlink_to('sub/b.png')
    (tmp_path / 'img/way').symlink_to(tmp_path)
    (tmp_path / 'link').symlink_to('img')
    (tmp_path / 'img2').mkdir()  # whose path begins as the folder's does
    (tmp_path / 'img/beside').symlink_to('../img2')
    return tmp_path


GOOD = {'a.png': 'a.png', 'sub/b.png': 'sub/b.png', 'sub\\b.png': 'sub/b.png',
        'c d .png': 'c d .png', 'in.png': 'in.png', 'missing.png': 'missing.png',
        'none/missing.png': 'none/missing.png',
        'e\\f.png': 'e\\f.png', './a.png': './a.png', 'a..b.png': 'a..b.png'}
ABSOLUTE, LEAVES, LINK = ('is absolute, so it leaves the image folder', 'leaves the image folder',
                          'is a link that leaves the image folder')
OUTSIDE = {'../secret.png': LEAVES, 'sub/../../secret.png': LEAVES, '..\\secret.png': LEAVES,
           'sub/../a.png': LEAVES, 'out.png': LINK, 'way/secret.png': LINK, 'beside/a.png': LINK,
           '/etc/passwd': ABSOLUTE, 'C:\\x.png': ABSOLUTE, 'c:/x.png': ABSOLUTE}


@pytest.mark.parametrize('through', ['img', 'link', 'img/'])
@pytest.mark.parametrize('name', GOOD)
def test_inside(folder, name, through):
    root = str(folder / through) + '/' * through.endswith('/')
    assert ImageFolder(root).path(name, 'x.json') == os.path.join(root, GOOD[name])


@pytest.mark.parametrize('name', OUTSIDE)
def test_outside(folder, name):
    root = str(folder / 'img')
    with pytest.raises(ValueError) as error:
        ImageFolder(root).path(name, 'x.json: image 3')
    shown = name.replace('\\', '/')
    assert str(error.value) == (
        f'x.json: image 3: file name {shown!r} {OUTSIDE[name]} {root!r}: allow it with '
        'allow_outside=True of the dataset if you trust the file')
    assert ImageFolder(root, allow_outside=True).path(name, 'x') == os.path.join(root, shown)


def test_all_lies_inside_the_root(folder):
    assert ImageFolder('/').path(f'{folder}/img/a.png'[1:], 'x') == f'{folder}/img/a.png'


def test_where_no_folder_is_known_names_may_lie_anywhere():
    for name in ('../secret.png', '/etc/x.png'):
        for no_folder in ('', None):
            assert ImageFolder(no_folder).path(name, 'x') == name


IMPOSSIBLE = {
    '': 'is empty', ' ': 'is empty',
    '.': 'is that of a folder', '..': 'is that of a folder', 'sub/': 'is that of a folder',
    'sub/..': 'is that of a folder', 'a\0b': 'holds a NUL character',
    'x' * 4000: 'is 4000 characters long, at most 1024 are possible',
    'x' * 1025: 'is 1025 characters long, at most 1024 are possible',
    3: 'should be text', None: 'should be text',
    'http://x/y.png': 'is an address', 's3://x/y.png': 'is an address',
    'file:///etc/passwd': 'is an address'}


@pytest.mark.parametrize('name', IMPOSSIBLE)
@pytest.mark.parametrize('allow', [False, True])
def test_no_file_at_all(folder, name, allow):
    with pytest.raises(ValueError, match=f'^x: file name .* {IMPOSSIBLE[name]}') as error:
        ImageFolder(str(folder / 'img'), allow_outside=allow).path(name, 'x')
    assert len(str(error.value)) < 400


def test_longest_name(folder):
    name = 'x' * 1024
    assert ImageFolder(str(folder / 'img')).path(name, 'x') == str(folder / 'img' / name)


@pytest.mark.parametrize('length, shown', [(100, 99 * 'x' + '/'), (101, 100 * 'x' + '...')])
def test_long_names_are_cut_in_messages(length, shown):
    with pytest.raises(ValueError) as error:
        ImageFolder('img').path('x' * (length - 1) + '/', 'f')
    assert str(error.value) == f'f: file name {shown!r} is that of a folder'


@pytest.mark.parametrize('root, backend_args', [
    ('s3://bucket/img', None), ('bucket/img', dict(backend='petrel'))])
def test_other_backends_are_passed_through(root, backend_args):
    assert ImageFolder(root, backend_args=backend_args).path('a/b.png', 'x') == f'{root}/a/b.png'
    assert ImageFolder(f'{root}/', backend_args=backend_args).path('b.png', 'x') == f'{root}/b.png'


def test_address_where_the_backend_reads_addresses():
    images = ImageFolder('', backend_args=dict(backend='http'))
    assert images.path('http://x/y.png', 'x') == 'http://x/y.png'


def test_a_folder_is_listed_once(folder, monkeypatch):
    """118,000 names cost one listing, not as many questions to the file system."""
    listings = []
    scandir = os.scandir
    monkeypatch.setattr(os, 'scandir', lambda path: listings.append(path) or scandir(path))
    images = ImageFolder(str(folder / 'img'))
    for i in range(100):
        images.path(f'{i}.png', 'x')
    assert len(listings) == 1
