"""Bytes of a URL: whole or not at all, tried again, and with an end to waiting."""

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import TypeVar

from mmengine.logging import print_log

T = TypeVar('T')
ATTEMPTS = 3
#: Seconds without a byte after which an attempt is given up.
TIMEOUT = 30
_PAUSE = 1.0
_CHUNK = 1 << 18


def with_retries(url: str, fetch: Callable[[], T]) -> T:
    """Call ``fetch`` up to `ATTEMPTS` times, unless the server says that ``url`` is not there.

    Raises:
        OSError, http.client.HTTPException: The last attempt's.
    """
    attempt = 1
    while True:
        try:
            return fetch()
        except (OSError, http.client.HTTPException) as error:
            gone = isinstance(error, urllib.error.HTTPError) and error.code < 500
            if gone or attempt == ATTEMPTS:
                raise
            print_log(f'{url}: {error}; attempt {attempt} of {ATTEMPTS}', 'current')
            time.sleep(_PAUSE * attempt)
            attempt += 1


def read_web_file(url: str, max_bytes: float = float('inf'),
                  max_seconds: float = float('inf'), method: str = 'GET') -> bytes:
    """Read a URL, a few times where the connection fails.

    Args:
        url: An ``http`` or ``https`` address.
        max_bytes: What has more is refused.
        max_seconds: What takes longer is given up, however steadily it drips.
        method: Of the request; 'HEAD' only asks whether the file is there.

    Raises:
        FileNotFoundError: The server has no such file.
        OSError: It cannot be had in `ATTEMPTS` attempts.
        ValueError: It is too large, or takes too long.
    """
    try:
        return with_retries(url, lambda: _read(url, max_bytes, max_seconds, method))
    except urllib.error.HTTPError as error:
        if error.code in (404, 410):
            raise FileNotFoundError(f'{url} does not exist: the server says {error}') from None
        raise OSError(f'{url} cannot be read: {error}') from error
    except (OSError, http.client.HTTPException) as error:
        raise OSError(f'{url} cannot be read: {error}') from error


def _read(url: str, max_bytes: float, max_seconds: float, method: str) -> bytes:
    request = urllib.request.Request(url, headers={'User-Agent': 'tresnet_mm'}, method=method)
    end, data = time.monotonic() + max_seconds, bytearray()
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
        length = answer.headers.get('Content-Length')
        while chunk := answer.read1(_CHUNK):
            data += chunk
            if len(data) > max_bytes:
                raise ValueError(f'{url} has more than {max_bytes} bytes')
            if time.monotonic() > end:
                raise ValueError(f'{url} is not there after {max_seconds} s: only {len(data)} '
                                 'bytes came')
    if method != 'HEAD' and length is not None and len(data) != int(length):
        raise OSError(f'the connection ended after {len(data)} of {length} bytes')
    return bytes(data)
