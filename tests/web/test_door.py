"""What is let through to gradio, and what a browser is told."""

import asyncio
import json

import pytest

from tresnet_mm.web.door import Door

LIMIT = 5000


def ask(door: Door, method: str, path: str, body: bytes = b'', **headers: str) -> tuple[int, dict]:
    """Status and headers of an answer."""
    if method == 'POST':
        headers.setdefault('content_length', str(len(body)))
    scope = dict(type='http', method=method, path=path, headers=[
        (name.replace('_', '-').encode(), value.encode()) for name, value in
        {'host': 'localhost:7860', **headers}.items()])
    parts = [dict(type='http.request', body=part, more_body=more)
             for part, more in ((body[:7], True), (body[7:], False))]
    sent = []

    async def receive():
        return parts.pop(0)

    async def send(message):
        sent.append(message)

    asyncio.run(door(scope, receive, send))
    answered = {name.decode(): value.decode() for name, value in sent[0]['headers']}
    return sent[0]['status'], answered


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'own').mkdir()
    (tmp_path / 'secret').write_text('weights')
    (tmp_path / 'own/photo.jpg').write_text('pixels')
    (tmp_path / 'own/link').symlink_to(tmp_path / 'secret')
    return (tmp_path / 'own').resolve()


@pytest.fixture
def door(folder):
    async def app(scope, receive, send):
        """Answers with what it reads."""
        body, more = b'', scope['method'] == 'POST'
        while more:
            message = await receive()
            body, more = body + message['body'], message['more_body']
        app.got = body
        await send(dict(type='http.response.start', status=200, headers=[(b'a', b'b')]))
        await send(dict(type='http.response.body', body=body))

    return Door(app, folder, LIMIT, ('localhost', '127.0.0.1', '::1'))


@pytest.mark.parametrize('path', ['/', '/theme.css', '/assets/a/b.js', '/static/img/logo.svg',
                                  '/gradio_api/heartbeat/abc', '/gradio_api/queue/data'])
def test_the_page_comes_through(path, door):
    status, headers = ask(door, 'GET', path)
    assert status == 200 and headers['a'] == 'b'


@pytest.mark.parametrize('path', [
    '/gradio_api/vibe-edit', '/gradio_api/vibe-code/', '/gradio_api/runs', '/monitoring',
    '/gradio_api/run-history/buckets', '/gradio_api/proxy=https://a.hf.space/', '/svelte/a.js',
    '/gradio_api/process_recording', '/gradio_api/token', '/gradio_api/info', '/login', '/docs',
    '/gradio_api/file/etc/passwd', '/gradio_api/deep_link', '/gradio_api/component_server'])
def test_the_rest_of_gradio_does_not_answer(path, door):
    assert ask(door, 'GET', path)[0] == ask(door, 'POST', path)[0] == 404


def test_files_of_the_folder_alone(door, folder):
    place = '/gradio_api/file='
    assert ask(door, 'GET', f'{place}{folder}/photo.jpg')[0] == 200
    for path in ('/etc/passwd', f'{folder}/../secret', f'{folder}/link', f'{folder}x/photo.jpg',
                 'tresnet_mm/__init__.py', '', 'https://example.org/a.jpg', '\0', 'x' * 5000):
        assert ask(door, 'GET', place + path)[0] == 403, path


@pytest.mark.parametrize('where', [
    lambda file: {'data': [[file]]}, lambda file: {'event_data': {'value': {'image': file}}},
    lambda file: [file]])
def test_a_request_names_files_of_the_folder_alone(where, door, folder):
    def status(path):
        body = json.dumps(where({'path': path, 'meta': {'_type': 'gradio.FileData'}})).encode()
        return ask(door, 'POST', '/gradio_api/queue/join', body)[0], body

    for path in ('/etc/passwd', f'{folder}/../secret', 'http://127.0.0.1/a.jpg',
                 'https://example.org/a.jpg', '', 7):
        assert status(path)[0] == 403, path
    for path in (f'{folder}/photo.jpg', None):
        code, body = status(path)
        assert code == 200 and door.app.got == body, 'whole, and once'


@pytest.mark.parametrize('body', [b'{', b'\xff', b'[' * 100_000])
def test_what_is_no_json_is_refused(body, door):
    assert ask(door, 'POST', '/gradio_api/queue/join', body)[0] == 400


def test_sizes(door):
    upload, join = '/gradio_api/upload', '/gradio_api/queue/join'
    assert ask(door, 'POST', upload, bytes(LIMIT))[0] == 200
    assert ask(door, 'POST', upload, content_length=str(LIMIT + 1))[0] == 413
    assert ask(door, 'POST', join, content_length=str((1 << 20) + 1))[0] == 413
    assert ask(door, 'POST', upload, content_length='many')[0] == 411
    assert ask(door, 'POST', upload, transfer_encoding='chunked')[0] == 411


@pytest.mark.parametrize(('host', 'status'), [
    ('localhost', 200), ('127.0.0.1:7860', 200), ('[::1]:7860', 200), ('evil.example:7860', 421),
    ('', 421), ('localhost.evil.example', 421), ('[', 421)])
def test_other_names_of_this_machine_are_refused(host, status, door):
    assert ask(door, 'GET', '/', host=host)[0] == status
    assert ask(Door(door.app, door.folder, LIMIT), 'GET', '/', host=host)[0] == 200


def test_other_methods_are_refused(door):
    assert [ask(door, method, '/')[0] for method in ('PUT', 'DELETE', 'OPTIONS')] == [405] * 3


def test_browsers_load_nothing_from_elsewhere(door):
    for path in ('/', '/monitoring'):
        headers = ask(door, 'GET', path)[1]
        rules = dict(rule.split(maxsplit=1) for rule in headers['content-security-policy'].split(
            '; '))
        assert rules['default-src'] == "'self'" and rules['frame-ancestors'] == "'none'"
        assert not any('http' in rule or '*' in rule or 'eval' in rule for rule in rules.values())
        assert headers['x-content-type-options'] == 'nosniff'
