"""The page as it is served, asked by a client without a browser."""

import os
import re
import socket

import pytest

pytest.importorskip('gradio')
pytest.importorskip('httpx')

from starlette.testclient import TestClient  # noqa: E402

from tresnet_mm.web import server  # noqa: E402
from tresnet_mm.web.own_folder import own_folder  # noqa: E402
from tresnet_mm.web.server import Limits, make_app, serve  # noqa: E402

FILE = '/gradio_api/file='


@pytest.fixture(scope='module')
def served(models):
    """A client, and the server's folder."""
    with own_folder() as folder:
        app = make_app(list(models.values()), folder, '127.0.0.1', Limits(max_mb=0.1))
        with TestClient(app, base_url='http://127.0.0.1') as client:
            yield client, folder


def upload(client, *contents: bytes):
    return client.post('/gradio_api/upload', files=[
        ('files', (f'{number}.jpg', content)) for number, content in enumerate(contents)])


def test_the_page_has_all_it_needs_here(served):
    answer = served[0].get('/')
    assert answer.status_code == 200 and "default-src 'self'" in (
        answer.headers['content-security-policy'])
    theme = served[0].get('/theme.css').text
    assert 'system-ui' in theme and '@font-face' not in theme and '@import' not in theme
    assert set(re.findall(r'url\(.?(\w+:|/)', theme)) <= {'data:'}
    assert os.getcwd() not in answer.text


def test_no_file_but_what_was_uploaded(served, trained, photos):
    client, folder = served
    [path] = upload(client, photos[0].read_bytes()).json()
    assert path.startswith(str(folder))
    assert client.get(FILE + path).content == photos[0].read_bytes()
    for other in ('/etc/passwd', *map(str, trained['joint']), 'setup.py', photos[0],
                  f'{folder}/../', f'{folder}/none.jpg'):
        assert client.get(f'{FILE}{other}').status_code == 403, other


def test_a_request_cannot_have_another_file_read(served, trained):
    for path in ('/etc/passwd', str(trained['joint'][1]), 'http://127.0.0.1/a.jpg'):
        answer = served[0].post('/gradio_api/queue/join', json=dict(
            fn_index=2, session_hash='a', data=[None, 'joint', [dict(
                path=path, meta=dict(_type='gradio.FileData'))], .3, .5, False]))
        assert answer.status_code == 403


def test_sizes_are_limited(served):
    client, _ = served
    assert upload(client, bytes(100_000), bytes(100_000)).status_code == 200
    assert upload(client, bytes(100_000), bytes(110_000)).status_code == 413
    assert upload(client, *[bytes(100_000)] * 40).status_code == 413


def test_what_is_uploaded_is_no_page(served):
    """Neither a page nor a drawing is shown by the browser as one of ours."""
    for name in ('a.html', 'a.svg'):
        [path] = served[0].post('/gradio_api/upload', files={
            'files': (name, b'<svg onload="alert(1)"/>')}).json()
        answer = served[0].get(FILE + path)
        assert answer.headers['content-disposition'].startswith('attachment')
        assert answer.headers['content-type'] == 'application/octet-stream'


def test_the_functions_of_the_page_are_no_public_interface(served):
    assert served[0].post('/gradio_api/run/take', json=dict(data=[])).status_code == 404
    assert served[0].post('/gradio_api/call/take', json=dict(data=[])).status_code == 404


def test_a_port_that_is_taken_is_told(models, tmp_path):
    with socket.create_server(('127.0.0.1', 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(OSError, match=f'cannot listen on host 127.0.0.1, port {port}: '):
            serve(list(models.values()), tmp_path, port=port)


@pytest.mark.parametrize(('host', 'port'), [('127.0.0.1', 70000), ('no.such.host.invalid', 0)])
def test_a_place_that_is_none_is_told(host, port, models, tmp_path):
    with pytest.raises(OSError, match=f'cannot listen on host {host}, port {port}: '):
        serve(list(models.values()), tmp_path, host, port)


@pytest.mark.parametrize(('host', 'local'), [
    ('127.0.0.1', True), ('::1', True), ('localhost', True), ('0.0.0.0', False), ('::', False),
    ('10.0.0.7', False), ('machine.example', False)])
def test_only_loopback_knows_its_names(host, local):
    assert bool(server._names_of(host)) == local


@pytest.mark.parametrize(('name', 'value'), [('max_mb', 0), ('max_mb', float('nan')),
                                             ('max_pixels', -1)])
def test_limits_are_above_0(name, value):
    with pytest.raises(ValueError, match=f'{name} must be above 0'):
        Limits(**{name: value})
