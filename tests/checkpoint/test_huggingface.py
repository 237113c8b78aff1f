"""``hf://`` names, against a stand-in for the hub's HTTP interface on the loopback address."""

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest
import torch
from huggingface_hub import constants, hf_api
from mmengine.runner.checkpoint import CheckpointLoader
from safetensors.torch import save as to_safetensors

from tresnet_mm.checkpoint import fetch, read_source
from tresnet_mm.checkpoint.huggingface import HubFile, parse

from . import hostile

COMMITS = {'main': 'a' * 40, 'v1': 'b' * 40, 'refs/pr/1': 'c' * 40}
WEIGHTS = to_safetensors({'w': torch.arange(6.)})
OLD = to_safetensors({'w': torch.zeros(6)})
#: Repository -> revision -> file -> content; or the hub's code for why it is not given.
REPOS = {
    'me/one': {'main': {'README.md': b'# one', 'nets/net.safetensors': WEIGHTS},
               'v1': {'old.safetensors': OLD}, 'refs/pr/1': {'pr.safetensors': OLD}},
    'me/usual': {'main': {'model.safetensors': WEIGHTS, 'pytorch_model.bin': OLD}},
    'me/many': {'main': {'model.safetensors': WEIGHTS, 'other.pth': OLD, 'notes.txt': b'x'}},
    'me/none': {'main': {'README.md': b'# none', 'config.json': b'{}'}},
    'me/gated': 'GatedRepo', 'me/private': 'RepoNotFound'
}
STATUS = {'GatedRepo': 403, 'RepoNotFound': 401, 'RevisionNotFound': 404, 'EntryNotFound': 404,
          'down': 500}


class Hub(BaseHTTPRequestHandler):
    """Lists a repository's files and sends them, or says why not, as the hub does."""

    protocol_version = 'HTTP/1.1'
    requests: list[tuple[str, str]] = []

    def do_HEAD(self):
        path = urlparse(self.path).path
        self.requests.append((self.command, path))
        _, *steps = path.split('/')
        if steps[:2] == ['api', 'models']:
            repo = '/'.join(steps[2:4])
            revision = unquote(steps[5]) if steps[4:5] == ['revision'] else 'main'
            answer = self.find(repo, revision)
            if isinstance(answer, dict):
                answer = json.dumps(dict(id=repo, siblings=[
                    dict(rfilename=name) for name in answer])).encode()
        else:
            repo, revision = '/'.join(steps[:2]), unquote(steps[3])
            answer = self.find(repo, revision)
            if isinstance(answer, dict):
                answer = answer.get('/'.join(steps[4:]), 'EntryNotFound')
        self.answer(answer, revision)

    do_GET = do_HEAD

    @staticmethod
    def find(repo, revision):
        files = REPOS.get(repo, 'RepoNotFound')
        if isinstance(files, str):
            return files
        names = {commit: name for name, commit in COMMITS.items()}
        return files.get(names.get(revision, revision), 'RevisionNotFound')

    def answer(self, content, revision):
        self.send_response(STATUS[content] if isinstance(content, str) else 200)
        if isinstance(content, str):
            self.send_header('X-Error-Code', content)
            content = b''
        else:
            self.send_header('ETag', f'"{hashlib.sha1(content).hexdigest()}"')
            self.send_header('X-Repo-Commit', COMMITS.get(revision, revision))
        self.send_header('Content-Length', str(len(content)))
        self.end_headers()
        if self.command == 'GET':
            self.wfile.write(content)

    def log_message(self, *args):
        pass


@pytest.fixture(scope='module')
def address():
    with ThreadingHTTPServer(('127.0.0.1', 0), Hub) as http:
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield f'http://127.0.0.1:{http.server_port}'
        http.shutdown()
        thread.join()


@pytest.fixture
def settings(monkeypatch):
    """What huggingface_hub has read from the environment when it was imported, changed."""

    def change(endpoint, cache, offline=False):
        monkeypatch.setattr(constants, 'ENDPOINT', endpoint)
        monkeypatch.setattr(constants, 'HUGGINGFACE_CO_URL_TEMPLATE',
                            endpoint + '/{repo_id}/resolve/{revision}/{filename}')
        monkeypatch.setattr(hf_api.api, 'endpoint', endpoint)
        monkeypatch.setattr(constants, 'HF_HUB_CACHE', str(cache))
        monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', offline)

    return change


@pytest.fixture
def hub(address, settings, tmp_path):
    """The stand-in's requests; its cache is the test's own."""
    settings(address, tmp_path / 'hub')
    Hub.requests.clear()
    return Hub.requests


@pytest.mark.parametrize('url, parts', [
    ('hf://me/net', ('me/net', None, None)),
    ('hf://me/net/a/b.pth', ('me/net', 'a/b.pth', None)),
    ('hf://me/net@v1', ('me/net', None, 'v1')),
    ('hf://me/net@v1/b.pth', ('me/net', 'b.pth', 'v1')),
    ('hf://me/net/b.pth@v1', ('me/net', 'b.pth', 'v1')),
    ('hf://me/net@refs%2Fpr%2F1', ('me/net', None, 'refs/pr/1')),
    ('hf://me/net/b.pth@refs/pr/1', ('me/net', 'b.pth', 'refs/pr/1')),
])
def test_names(url, parts):
    assert parse(url) == HubFile(*parts)


@pytest.mark.parametrize('url', [
    'hf://', 'hf://net', 'hf://me/', 'hf:///net', 'hf://me/net@v1/b.pth@v2', 'hf://me/net//etc/x',
    'hf://me/net/../x.pth', 'hf://me/net@', 'hf://me/net a', 'hf://../net/../x'])
def test_other_forms(url):
    with pytest.raises(ValueError, match='is not of the form hf://USER/REPO'):
        parse(url)


@pytest.mark.parametrize('url, content', [
    ('hf://me/one', WEIGHTS), ('hf://me/one/nets/net.safetensors', WEIGHTS),
    ('hf://me/one@v1', OLD), ('hf://me/one@refs%2Fpr%2F1', OLD),
    ('hf://me/one@v1/old.safetensors', OLD), ('hf://me/one/old.safetensors@v1', OLD),
    (f'hf://me/one@{COMMITS["v1"]}', OLD),
    ('hf://me/usual', WEIGHTS), ('hf://me/usual/pytorch_model.bin', OLD),
    ('hf://me/many/model.safetensors', WEIGHTS)], ids=lambda value: value if isinstance(value, str)
    else '')
def test_what_is_fetched(url, content, hub, tmp_path):
    path = fetch(url)
    assert path.read_bytes() == content and tmp_path in path.parents
    hub.clear()
    assert fetch(url) == path
    assert not [path for command, path in hub if command == 'GET' and '/resolve/' in path]


@pytest.mark.parametrize('url, kind, words', [
    ('hf://me/many', ValueError, 'hf://me/many has several weights files: append one of '
     '/model.safetensors, /other.pth'),
    ('hf://me/none', ValueError, r'hf://me/none has no weights file .*README.md'),
    ('hf://me/gated', FileNotFoundError, 'is gated: accept its conditions at .*/me/gated and log'),
    ('hf://me/gated/a.pth', FileNotFoundError, 'is gated'),
    ('hf://me/private', FileNotFoundError, 'no repository .*/me/private, or it is private'),
    ('hf://me/absent/a.pth', FileNotFoundError, 'no repository .*/me/absent, or it is private'),
    ('hf://me/one@v9', FileNotFoundError, "/me/one has no revision 'v9'"),
    ('hf://me/one@v9/old.safetensors', FileNotFoundError, "has no revision 'v9'"),
    ('hf://me/one/x.pth', FileNotFoundError, "has no file 'x.pth' in revision 'main'"),
    ('hf://me/.one', ValueError, 'hf://me/.one: '),
])
def test_what_cannot_be_had(url, kind, words, hub, tmp_path):
    with pytest.raises(kind, match=f'^{url}.*{words}' if kind is FileNotFoundError else words):
        fetch(url)
    assert not list(tmp_path.rglob('snapshots'))


def test_every_way_in_takes_them(hub):
    for read in (read_source, CheckpointLoader.load_checkpoint):
        assert torch.equal(read('hf://me/one')['state_dict']['w'], torch.arange(6.))


@pytest.mark.parametrize('how', ['offline', 'unreachable', 'broken'])
def test_without_the_hub_the_cache_serves(how, address, hub, settings, tmp_path, monkeypatch):
    urls = ['hf://me/one', 'hf://me/one@v1', f'hf://me/one@{COMMITS["v1"]}',
            'hf://me/one@v1/old.safetensors']
    paths = [fetch(url) for url in urls]
    monkeypatch.setattr(time, 'sleep', lambda seconds: None)  # between its attempts
    if how == 'broken':
        for repo in REPOS:
            monkeypatch.setitem(REPOS, repo, 'down')
    else:
        settings(address if how == 'offline' else 'http://127.0.0.1:9', tmp_path / 'hub',
                 how == 'offline')
    hub.clear()
    assert [fetch(url) for url in urls] == paths
    said = ' \\(HF_HUB_OFFLINE is set\\)' if how == 'offline' else ''
    for url in ('hf://me/many', 'hf://me/one/other.pth', 'hf://me/one@v2/old.safetensors'):
        with pytest.raises(FileNotFoundError, match=f'{url}: it is not in the cache '
                           f'{tmp_path / "hub"} and could not be downloaded from .*{said}'):
            fetch(url)
    assert not hub or how == 'broken'


def test_a_file_of_the_hub_runs_no_code(hub, tmp_path, monkeypatch):
    canary = tmp_path / 'ran'
    operations = hostile.ROUTES[next(iter(hostile.ROUTES))](hostile.touch(canary))
    monkeypatch.setitem(REPOS, 'me/evil', {'main': {'a.bin': hostile.pickled(operations)}})
    with pytest.raises(ValueError, match='checkpoint .*a.bin '):
        read_source('hf://me/evil')
    assert not canary.exists()


SCRIPT = """
import sys
from tresnet_mm.checkpoint import fetch
for url in sys.argv[1:]:
    try:
        print('file:', fetch(url))
    except FileNotFoundError as error:
        print('error:', error)
"""


@pytest.mark.slow
def test_the_variables_of_the_environment(address, tmp_path, repo_root):
    env = os.environ | dict(HF_ENDPOINT=address, HF_HOME=str(tmp_path / 'home'),
                            PYTHONPATH=str(repo_root))
    said = []
    for more in ({}, dict(HF_HUB_OFFLINE='1')):
        out = subprocess.run(
            [sys.executable, '-c', SCRIPT, 'hf://me/one', 'hf://me/none/x.pth'], env=env | more,
            check=True, stdout=subprocess.PIPE, text=True, timeout=300).stdout
        said.append([line for line in out.splitlines() if line.startswith(('file:', 'error:'))])
    (online, absent), (offline, unknown) = said
    assert Path(online.removeprefix('file: ')).read_bytes() == WEIGHTS
    assert str(tmp_path / 'home') in online and offline == online
    assert "has no file 'x.pth'" in absent and 'HF_HUB_OFFLINE is set' in unknown
