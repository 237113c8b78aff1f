"""Downloads: whole or not at all, the file that its name says, and an end to waiting."""

import hashlib

import pytest
import torch

from tests.web_server import BODY, WHOLE, serving
from tresnet_mm.checkpoint import download as module
from tresnet_mm.checkpoint import read_source
from tresnet_mm.file_backends import web_file


@pytest.fixture(autouse=True)
def quick(tmp_path, monkeypatch):
    """No pause between attempts, and a cache of the test's own."""
    monkeypatch.setattr(torch.hub, '_hub_dir', str(tmp_path / 'hub'))
    monkeypatch.setattr(web_file, '_PAUSE', 0)


@pytest.mark.parametrize('answers, attempts', [
    ([WHOLE], 1),
    ([(500, 0, 0), WHOLE], 2),
    ([(200, len(BODY), 100), (503, 0, 0), WHOLE], 3),
    ([None, WHOLE], 2),
], ids=['at once', 'after an error', 'after a cut and an error', 'after silence'])
def test_what_fails_is_tried_again(answers, attempts):
    with serving(*answers) as (address, requests):
        assert module.download(f'{address}/w.pth').read_bytes() == BODY
        assert len(requests) == attempts
        module.download(f'{address}/w.pth')  # from the cache
        assert len(requests) == attempts


@pytest.mark.parametrize('answer, attempts, words', [
    ((404, 0, 0), 1, '404'), ((403, 0, 0), 1, '403'), ((500, 0, 0), 3, '500'),
    ((200, len(BODY), 100), 3, 'ended after 100 of 10240 bytes|IncompleteRead'),
    (None, 3, 'timed out')])
def test_what_cannot_be_had_leaves_nothing(answer, attempts, words, tmp_path):
    with serving(answer) as (address, requests):
        with pytest.raises(OSError, match=f'cannot download the checkpoint {address}/w.pth: '
                                          f'.*({words})'):
            read_source(f'{address}/w.pth')
        assert len(requests) == attempts
    assert not [path for path in tmp_path.rglob('*') if path.is_file()]


def test_the_hash_in_a_name(tmp_path):
    right = hashlib.sha256(BODY).hexdigest()[:8]
    with serving(WHOLE) as (address, requests):
        assert module.download(f'{address}/a-{right}.pth').read_bytes() == BODY
        with pytest.raises(ValueError, match=f'a-0000000f.pth is not the file that its name says: '
                                             f'its SHA-256 starts with {right}, not 0000000f'):
            module.download(f'{address}/a-0000000f.pth')
        module.download(f'{address}/a-20260101.pth')  # a date is no hash
    assert {path.name for path in tmp_path.rglob('*') if path.is_file()} == {
        f'a-{right}.pth', 'a-20260101.pth'}


def test_a_url_without_a_name():
    with pytest.raises(ValueError, match='the URL http://127.0.0.1:1/ names no file'):
        module.download('http://127.0.0.1:1/')
