"""What of the page's server may be asked, by whom, and how much at once."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

_FILE, _UPLOAD = '/gradio_api/file=', '/gradio_api/upload'
#: What the page itself asks for. gradio answers much more: records of runs, an editor of its code,
#: a relay to other hosts.
_PATHS = ('/', '/config', '/favicon.ico', '/manifest.json', '/theme.css', '/gradio_api/cancel',
          '/gradio_api/queue/data', '/gradio_api/queue/join', '/gradio_api/reset',
          '/gradio_api/upload_progress', _UPLOAD)
_FOLDERS = ('/assets/', '/static/', '/gradio_api/heartbeat/')
_MAX_REQUEST = 1 << 20  # bytes, but of an upload
_HEADERS = {
    'Content-Security-Policy': "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src "
    "'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; object-src 'none'; "
    "frame-ancestors 'none'; base-uri 'self'; form-action 'self'",
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'same-origin',
}


class Door:
    """An ASGI application before gradio's, which lets through what the page needs.

    - Only the paths of the page; files of ``folder`` alone.
    - A request may name files of ``folder`` alone, no address: gradio would fetch it.
    - Only requests to one of ``hosts``, which keeps other pages from reaching a server on loopback
      by a name of their own.
    - An upload of ``max_upload`` bytes at most, whose size is told before, and other requests of
      1 MiB.
    - Browsers are told to load nothing from other hosts.

    Args:
        app: gradio's.
        folder: What is uploaded and drawn.
        max_upload: Bytes of all files that are uploaded at once.
        hosts: Names that this server goes by; empty for any.
    """

    def __init__(self, app: App, folder: Path, max_upload: int, hosts: tuple[str, ...] = ()
                 ) -> None:
        self.app, self.folder, self.max_upload, self.hosts = app, folder, max_upload, hosts

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope['type'] == 'lifespan':
            await self.app(scope, receive, send)
        elif scope['type'] == 'http':
            refusal = self._refusal(scope)
            if refusal is None and scope['method'] == 'POST' and scope['path'] != _UPLOAD:
                refusal, receive = await self._read(receive)
            if refusal is None:
                await self.app(scope, receive, _with_headers(send))
            else:
                await _refuse(refusal, _with_headers(send))

    def _refusal(self, scope: Mapping[str, Any]) -> HTTPStatus | None:
        headers = {name.decode('latin-1'): value.decode('latin-1')
                   for name, value in scope['headers']}
        path, method = scope['path'], scope['method']
        if self.hosts and _host(headers.get('host', '')) not in self.hosts:
            return HTTPStatus.MISDIRECTED_REQUEST
        if method not in ('GET', 'HEAD', 'POST'):
            return HTTPStatus.METHOD_NOT_ALLOWED
        if path.startswith(_FILE):
            return None if self._is_ours(path[len(_FILE):]) else HTTPStatus.FORBIDDEN
        if path not in _PATHS and not path.startswith(_FOLDERS):
            return HTTPStatus.NOT_FOUND
        if method == 'POST':
            length = headers.get('content-length', '')
            if not length.isdecimal() or 'transfer-encoding' in headers:  # which would overrule it
                return HTTPStatus.LENGTH_REQUIRED
            if int(length) > (self.max_upload if path == _UPLOAD else _MAX_REQUEST):
                return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        return None

    async def _read(self, receive: Receive) -> tuple[HTTPStatus | None, Receive]:
        """Read a request, look at the files that it names, and give it to be read again."""
        body, more = b'', True
        while more:
            message = await receive()
            body += message.get('body', b'')
            more = message.get('more_body', False)
        try:
            named = list(_paths(json.loads(body or b'null')))
        except (ValueError, RecursionError):
            return HTTPStatus.BAD_REQUEST, receive
        if not all(map(self._is_ours, named)):
            return HTTPStatus.FORBIDDEN, receive
        waiting = [dict(type='http.request', body=body, more_body=False)]

        async def again() -> Message:
            return waiting.pop() if waiting else await receive()

        return None, again

    def _is_ours(self, path: str) -> bool:
        try:
            return Path(path).resolve().is_relative_to(self.folder)
        except (OSError, ValueError):  # too long, or with a zero byte
            return False


def _paths(value: Any) -> Iterator[str]:
    """Whatever a request calls a ``path``, at any depth."""
    if isinstance(value, list):
        for item in value:
            yield from _paths(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == 'path' and item is not None:
                yield str(item)
            yield from _paths(item)


def _host(header: str) -> str:
    try:
        return urlsplit(f'//{header}').hostname or ''
    except ValueError:
        return ''


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message['type'] == 'http.response.start':
            added = [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]
            message = {**message, 'headers': [*message.get('headers', ()), *added]}
        await send(message)

    return sending


async def _refuse(status: HTTPStatus, send: Send) -> None:
    body = status.phrase.encode()
    await send(dict(type='http.response.start', status=status.value, headers=[
        (b'content-type', b'text/plain'), (b'content-length', str(len(body)).encode()),
        (b'connection', b'close')]))
    await send(dict(type='http.response.body', body=body))
