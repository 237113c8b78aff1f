"""Reading files, URLs and hub names: what is taken, and what is refused with which message."""

import argparse
import json
import os
import pickle
import re
import subprocess
import sys
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from mmengine.runner.checkpoint import CheckpointLoader
from safetensors.torch import save_file

from tresnet_mm.checkpoint import HUB_FILES, read_file, read_source, write_file
from tresnet_mm.checkpoint.hub import fetch

REPO = 'timm/tresnet_m.miil_in1k'
COMMIT = '0123456789abcdef0123456789abcdef01234567'


class RunsCode:
    """Unpickled without care, it makes a folder."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


class Handler(BaseHTTPRequestHandler):
    """Serves ``files`` (path -> bytes) with the headers of the Hugging Face hub."""

    def __init__(self, files, requests, *args):
        self.files, self.requests = files, requests
        super().__init__(*args)

    def do_HEAD(self):
        self.respond(body=False)

    def do_GET(self):
        self.respond(body=True)

    def respond(self, body):
        path = self.path.split('?')[0]
        self.requests.append((self.command, path))
        content = self.files.get(path)
        self.send_response(404 if content is None else 200)
        self.send_header('Content-Length', str(len(content or b'')))
        if content is not None:
            self.send_header('ETag', '"0123456789abcdef"')
            self.send_header('X-Repo-Commit', COMMIT)
        self.end_headers()
        if body and content is not None:
            self.wfile.write(content)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    """A server on the loopback interface: (address, files to serve, requests seen)."""
    files, requests = {}, []
    with ThreadingHTTPServer(('127.0.0.1', 0), partial(Handler, files, requests)) as http:
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield f'http://127.0.0.1:{http.server_port}', files, requests
        http.shutdown()
        thread.join()


@pytest.fixture
def hub_dir(tmp_path, monkeypatch):
    """PyTorch's hub cache, in a folder of the test's own."""
    monkeypatch.setattr(torch.hub, '_hub_dir', str(tmp_path / 'hub'))
    return tmp_path / 'hub'


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere.pth does not exist'):
        read_file(tmp_path / 'nowhere.pth')
    with pytest.raises(FileNotFoundError, match='it is a folder'):
        read_file(tmp_path)


@pytest.mark.parametrize('content', [b'', b'not a checkpoint', b'<!DOCTYPE html><html>', b'PK\3\4'])
@pytest.mark.parametrize('ending', ['pth', 'safetensors'])
def test_no_checkpoint(ending, content, tmp_path):
    path = tmp_path / f'file.{ending}'
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f'{path} is damaged or no'):
        read_file(path)


@pytest.mark.reliability(
    done='a checkpoint is cut off',
    happens='one error that names the file')
@pytest.mark.parametrize('ending', ['pth', 'safetensors'])
@pytest.mark.parametrize('legacy', [False, True])
def test_truncated(ending, legacy, tmp_path):
    path = tmp_path / f'file.{ending}'
    if ending == 'pth':
        torch.save({'a': torch.zeros(100)}, path, _use_new_zipfile_serialization=not legacy)
    else:
        save_file({'a': torch.zeros(100)}, path)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(ValueError, match=f'{path} is damaged'):
        read_file(path)


@pytest.mark.parametrize('save', [
    lambda value, path: torch.save(value, path),
    lambda value, path: torch.save(value, path, _use_new_zipfile_serialization=False),
    lambda value, path: path.write_bytes(pickle.dumps(value)),
], ids=['zip', 'legacy', 'pickle'])
def test_file_that_runs_code_is_refused(save, tmp_path):
    path, trap = tmp_path / 'evil.pth', tmp_path / 'executed'
    save({'state_dict': {'w': RunsCode(trap)}}, path)
    for read in (read_file, partial(CheckpointLoader.load_checkpoint, map_location='cpu')):
        with pytest.raises(ValueError, match=f'{path} runs .*when it is read'):
            read(str(path))
    assert not trap.exists()


def test_options_of_a_training_script_are_no_danger(tmp_path):
    path = tmp_path / 'model.pth'
    torch.save({'args': argparse.Namespace(lr=0.1), 'model': {'w': torch.ones(2)}}, path)
    assert read_file(path)['args'].lr == 0.1


def test_checkpoints_of_other_models_come_out_as_they_are(tmp_path):
    path = str(tmp_path / 'r50.pth')
    weights = {'backbone.conv1.weight': torch.ones(4, 3, 7, 7)}
    content = {'meta': {'epoch': 3}, 'state_dict': weights, 'message_hub': {}, 'optimizer': {}}
    torch.save(content, path)
    loaded = CheckpointLoader.load_checkpoint(path, 'cpu')
    assert list(loaded) == list(content) and loaded['meta'] == {'epoch': 3}
    assert torch.equal(loaded['state_dict']['backbone.conv1.weight'], torch.ones(4, 3, 7, 7))


def test_incomplete_published_file_names_itself(official, tmp_path):
    path = str(tmp_path / 'model.pth')
    del official['body.layer1.0.conv1.0.weight']
    official['body.layer1.0.conv1.0.0.weight'] = torch.ones(1)  # as if nested: found, and wrong
    del official['body.layer4.0.conv1.1.bias']
    official['body.layer1.0.conv1.0.weight'] = torch.ones(16, 16, 3, 3)
    torch.save(official, path)
    with pytest.raises(ValueError, match='model.pth: the checkpoint does not fit.*'
                                         'missing layer4.0.conv1.bn.bias'):
        CheckpointLoader.load_checkpoint(path, 'cpu')


@pytest.mark.parametrize('ending', ['pth', 'safetensors'])
def test_written_files_are_read_back(ending, tmp_path):
    path = tmp_path / 'new' / f'file.{ending}'
    state_dict = {'backbone.w': torch.arange(6.).reshape(2, 3).T}
    meta = {'tresnet_mm': {'norm': 'BN', 'arch': 'm'}}
    write_file(path, state_dict, meta)
    loaded = read_file(path)
    assert loaded['meta'] == meta
    assert torch.equal(loaded['state_dict']['backbone.w'], state_dict['backbone.w'])


def test_url_is_downloaded_once(server, hub_dir, tmp_path):
    address, files, requests = server
    torch.save({'state_dict': {'w': torch.ones(2)}}, tmp_path / 'w.pth')
    files['/weights/w.pth'] = (tmp_path / 'w.pth').read_bytes()
    for _ in range(2):
        loaded = CheckpointLoader.load_checkpoint(f'{address}/weights/w.pth?x=1', 'cpu')
        assert torch.equal(loaded['state_dict']['w'], torch.ones(2))
    assert requests == [('GET', '/weights/w.pth')]
    assert (hub_dir / 'checkpoints' / 'w.pth').is_file()


def test_url_that_is_not_there(server, hub_dir):
    address, _, _ = server
    with pytest.raises(OSError, match=f'cannot download the checkpoint {address}/none.pth: .*404'):
        read_source(f'{address}/none.pth')
    assert not list(hub_dir.rglob('*.pth'))


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match='tresnet://m_in2k') as error:
        fetch('tresnet://m_in2k')
    assert all(f'tresnet://{name}' in str(error.value) for name in HUB_FILES)


def test_file_put_by_hand_comes_first(timm, hub_dir):
    path = hub_dir / 'checkpoints' / 'tresnet_m.miil_in1k.safetensors'
    path.parent.mkdir(parents=True)
    save_file(timm, path)
    loaded = CheckpointLoader.load_checkpoint('tresnet://m_in1k', 'cpu')
    assert loaded['meta']['tresnet_mm']['family'] == 'timm'
    assert 'backbone.conv1.conv.weight' in loaded['state_dict']


SCRIPT = """
import json, sys
from tresnet_mm.checkpoint.hub import fetch
for name in sys.argv[1:]:
    try:
        print(json.dumps(str(fetch('tresnet://' + name))))
    except FileNotFoundError as error:
        print(json.dumps('error: ' + str(error)))
"""


def fetch_elsewhere(*names, **env) -> list[str]:
    """`fetch` in a process of its own: the hub's library reads its settings at import."""
    out = subprocess.run([sys.executable, '-c', SCRIPT, *names], env=os.environ | env, check=True,
                         stdout=subprocess.PIPE, text=True, timeout=300).stdout
    return [json.loads(line) for line in out.splitlines() if line.startswith('"')]


def test_hub(server, timm, tmp_path, repo_root):
    """Download, cache, offline use, and what is said where nothing can be had."""
    address, files, requests = server
    save_file(timm, tmp_path / 'served.safetensors')
    served = (tmp_path / 'served.safetensors').read_bytes()
    files[f'/{REPO}/resolve/main/model.safetensors'] = served
    files[f'/{REPO}/resolve/{COMMIT}/model.safetensors'] = served
    env = dict(HF_ENDPOINT=address, HF_HOME=str(tmp_path / 'hf'),
               TORCH_HOME=str(tmp_path / 'torch'),
               PYTHONPATH=f'{repo_root}{os.pathsep}{os.environ.get("PYTHONPATH", "")}')

    path, absent = fetch_elsewhere('m_in1k', 'l_in1k', **env)
    assert Path(path).read_bytes() == served
    assert str(tmp_path / 'hf') in path
    assert absent.startswith('error: ')
    seen = len(requests)

    cached, absent = fetch_elsewhere('m_in1k', 'xl_in1k', HF_HUB_OFFLINE='1', **env)
    assert cached == path
    assert len(requests) == seen  # offline is offline
    for part in ('tresnet://xl_in1k', 'HF_HUB_OFFLINE', str(tmp_path / 'hf'),
                 str(tmp_path / 'torch/hub/checkpoints/tresnet_xl.miil_in1k.safetensors'),
                 'timm/tresnet_xl.miil_in1k/resolve/main/model.safetensors'):
        assert part in absent


def test_tool(timm, bn_net, images, tmp_path, repo_root, capsys, monkeypatch, assert_same):
    monkeypatch.syspath_prepend(str(repo_root / 'tools'))
    import convert_checkpoint
    source = tmp_path / 'model.safetensors'
    save_file(timm, source)
    for norm, target in (('BN', 'bn.pth'), ('InPlaceABN', 'abn.safetensors')):
        target = str(tmp_path / target)
        convert_checkpoint.main([str(source), target, '--norm', norm])
        assert 'family timm' in capsys.readouterr().out
        net = type(bn_net)(arch=bn_net.arch, norm_cfg=dict(type='InPlaceABN'),
                           init_cfg=dict(type='Pretrained', checkpoint=target))
        net.init_weights()  # the file says which norm it is for
        assert_same(net, bn_net, images)

    convert_checkpoint.main([str(source), str(tmp_path / 'backbone.pth'), '--backbone-only'])
    keys = torch.load(tmp_path / 'backbone.pth', weights_only=True)['state_dict']
    assert keys and all(key.startswith('backbone.') for key in keys)

    for arguments, said in (([str(source), '--arch', 'l'], "of arch custom.*not 'l'"),
                            ([str(tmp_path / 'none.pth')], 'none.pth does not exist')):
        with pytest.raises(SystemExit) as ended:
            convert_checkpoint.main([*arguments[:1], str(tmp_path / 'no.pth'), *arguments[1:]])
        assert ended.value.code == 2 and re.search(said, capsys.readouterr().err)
    assert not (tmp_path / 'no.pth').exists()


@pytest.mark.parametrize('place', ['meta', 'nowhere', 'cuda:77', torch.device('meta')])
@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_a_device_that_is_not_there_is_no_damage_of_the_file(place, suffix, tmp_path):
    path = tmp_path / f'model{suffix}'
    write_file(path, {'w': torch.ones(2)}, {})
    with pytest.raises(ValueError, match=f"^map_location='{place}' is no device that can hold"):
        read_file(path, place)
