"""The page's server: on loopback unless told otherwise."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import fastapi
import gradio as gr
import uvicorn

from .door import Door
from .page import MAX_IMAGES, Page
from .web_model import WebModel

_MIB = 1 << 20
#: Visitors whose images are held; those of the one who was away longest go first.
_SESSIONS = 16


@dataclass(frozen=True)
class Limits:
    """What is taken from visitors: the most bytes of a file (in MiB), and the most pixels."""

    max_mb: float = 20
    max_pixels: int = 50_000_000

    def __post_init__(self) -> None:
        for name in ('max_mb', 'max_pixels'):
            if not getattr(self, name) > 0:
                raise ValueError(f'{name} must be above 0, got {getattr(self, name)}')


def serve(models: Sequence[WebModel], folder: Path, host: str = '127.0.0.1', port: int = 7860,
          limits: Limits | None = None, announce: Callable[[str], None] = print) -> None:
    """Serve the page until the process is interrupted.

    Args:
        models: With different names.
        folder: Of `own_folder`.
        host: Address to listen on; the default cannot be reached from other machines.
        port: 0 takes a free one.
        limits: Of what is uploaded; None takes the defaults.
        announce: Called with the page's address when it can be opened.

    Raises:
        OSError: This address or port cannot be had.
    """
    with _listen(host, port) as listening:
        app = make_app(models, folder, host, limits or Limits())
        server = _Server(uvicorn.Config(
            app, log_level='warning', server_header=False, timeout_graceful_shutdown=1))
        shown = f'[{host}]' if ':' in host else host
        announce(f'http://{shown}:{listening.getsockname()[1]}')
        server.run(sockets=[listening])


class _Server(uvicorn.Server):
    """Ends though pages are open, whose connections are never idle, and without a word on that."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        logging.getLogger('uvicorn.error').setLevel(logging.CRITICAL)
        await super().shutdown(sockets)


def make_app(models: Sequence[WebModel], folder: Path, host: str, limits: Limits) -> Door:
    """The application: gradio's page behind a `Door`.

    Args:
        models: With different names.
        folder: Of `own_folder`.
        host: The address it listens on.
        limits: Of what is uploaded.
    """
    page = Page(models, limits.max_mb)
    blocks = page.build()
    blocks.state_session_capacity = _SESSIONS
    max_bytes = int(limits.max_mb * _MIB)
    app = gr.mount_gradio_app(
        fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None), blocks, '/',
        show_error=False, max_file_size=max_bytes, footer_links=[], run_history=False,
        enable_monitoring=False, ssr_mode=False, pwa=False, mcp_server=False, **page.style())
    return Door(app, folder, MAX_IMAGES * (max_bytes + 1000), _names_of(host))


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server(
            (host, port), family=socket.AF_INET6 if ':' in host else socket.AF_INET)
    except (OSError, OverflowError) as error:
        reason = getattr(error, 'strerror', None) or error
        raise OSError(f'cannot listen on host {host}, port {port}: {reason}') from error


def _names_of(host: str) -> tuple[str, ...]:
    """What a server on loopback is called by its own pages; empty for other addresses."""
    try:
        local = ip_address(host).is_loopback
    except ValueError:
        local = host == 'localhost'
    return (host, 'localhost', '127.0.0.1', '::1') if local else ()
