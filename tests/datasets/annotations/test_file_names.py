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
    return tmp_path


GOOD = {'a.png': 'a.png', 'sub/b.png': 'sub/b.png', 'sub\\b.png': 'sub/b.png',
        'c d .png': 'c d .png', 'in.png': 'in.png', 'missing.png': 'missing.png',
        'none/missing.png': 'none/missing.png',
        'e\\f.png': 'e\\f.png', './a.png': './a.png', 'a..b.png': 'a..b.png'}
LEAVES = ['../secret.png', 'sub/../../secret.png', '..\\secret.png', 'out.png', 'way/secret.png',
          '/etc/passwd', 'C:\\x.png', 'sub/../a.png']


@pytest.mark.parametrize('through', ['img', 'link', 'img/'])
@pytest.mark.parametrize('name', GOOD)
def test_inside(folder, name, through):
    root = str(folder / through) + '/' * through.endswith('/')
    assert ImageFolder(root).path(name, 'x.json') == os.path.join(root, GOOD[name])


@pytest.mark.parametrize('name', LEAVES)
def test_outside(folder, name):
    with pytest.raises(ValueError, match=r'x\.json: image 3: file name .*allow_outside=True'):
        ImageFolder(str(folder / 'img')).path(name, 'x.json: image 3')
    assert ImageFolder(str(folder / 'img'), allow_outside=True).path(name, 'x')


def test_where_no_folder_is_known_names_may_lie_anywhere():
    for name in ('../secret.png', '/etc/x.png'):
        assert ImageFolder('').path(name, 'x') == name


@pytest.mark.parametrize('name', ['', ' ', '.', '..', 'sub/', 'sub/..', 'a\0b', 'x' * 4000, 3, None,
                                  'http://x/y.png', 's3://x/y.png', 'file:///etc/passwd'])
@pytest.mark.parametrize('allow', [False, True])
def test_no_file_at_all(folder, name, allow):
    with pytest.raises(ValueError, match='x: file name') as error:
        ImageFolder(str(folder / 'img'), allow_outside=allow).path(name, 'x')
    assert len(str(error.value)) < 400


@pytest.mark.parametrize('root, backend_args', [
    ('s3://bucket/img', None), ('bucket/img', dict(backend='petrel'))])
def test_other_backends_are_passed_through(root, backend_args):
    assert ImageFolder(root, backend_args=backend_args).path('a/b.png', 'x') == f'{root}/a/b.png'


def test_a_folder_is_listed_once(folder, monkeypatch):
    """118,000 names cost one listing, not as many questions to the file system."""
    listings = []
    scandir = os.scandir
    monkeypatch.setattr(os, 'scandir', lambda path: listings.append(path) or scandir(path))
    images = ImageFolder(str(folder / 'img'))
    for i in range(100):
        images.path(f'{i}.png', 'x')
    assert len(listings) == 1
