"""Names of mm's model zoos and objects of stores, read as files are."""

import json

import pytest
import torch
from mmengine.runner import checkpoint as mm_checkpoint

from tresnet_mm.checkpoint import read_source, sources

WEIGHTS = {'backbone.w': torch.arange(3.), 'head.w': torch.ones(2)}


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / 'weights/saved.pth'
    path.parent.mkdir()
    torch.save({'state_dict': WEIGHTS}, path)
    return path


@pytest.fixture
def asked(saved, monkeypatch):
    """The URLs that are asked for; each gives the saved file."""
    urls = []
    monkeypatch.setattr(sources, 'download', lambda url: urls.append(url) or saved)
    return urls


@pytest.mark.parametrize('scheme', ['open-mmlab', 'openmmlab'])
def test_a_name_for_a_file_below_mmengines_home(scheme, saved, tmp_path, monkeypatch):
    """A user's own names stand in ``open_mmlab.json`` there."""
    monkeypatch.setenv('MMENGINE_HOME', str(tmp_path))
    (tmp_path / 'open_mmlab.json').write_text(json.dumps({'mine': 'weights/saved.pth'}))
    content = read_source(f'{scheme}://mine')
    assert content['state_dict'].keys() == WEIGHTS.keys()
    assert torch.equal(content['state_dict']['backbone.w'], torch.arange(3.))


def test_old_and_new_names_of_the_zoos(asked):
    old, new = next(iter(mm_checkpoint.get_deprecated_model_names().items()))
    for name in (old, new):
        assert read_source(f'open-mmlab://{name}')['state_dict'].keys() == WEIGHTS.keys()
    assert asked == [mm_checkpoint.get_external_models()[new]] * 2
    assert asked[0].startswith('https://')


def test_of_a_classifier_of_mmcls_the_backbone_is_taken(asked):
    """As mmengine does."""
    name, url = next(iter(mm_checkpoint.get_mmcls_models().items()))
    content = read_source(f'mmcls://{name}')
    assert asked == [url] and list(content['state_dict']) == ['w']
    assert torch.equal(content['state_dict']['w'], torch.arange(3.))


def test_an_object_of_a_store_is_read_as_a_file_is(saved, monkeypatch):
    objects = {'s3://bucket/a.pth': saved.read_bytes(), 's3://bucket/b.pth': b'no checkpoint'}
    monkeypatch.setattr(sources, 'get', objects.__getitem__)
    assert torch.equal(read_source('s3://bucket/a.pth')['state_dict']['head.w'], torch.ones(2))
    with pytest.raises(ValueError, match='b.pth is damaged or no checkpoint'):
        read_source('s3://bucket/b.pth')
    with pytest.raises(OSError, match='cannot read the checkpoint s3://bucket/c.pth: KeyError'):
        read_source('s3://bucket/c.pth')
