"""Images from the web, with an end to waiting and a limit to their size."""

import http.client
import time
import urllib.request

from ..checkpoint.download import TIMEOUT, with_retries

MAX_BYTES = 128 << 20
#: Seconds after which a transfer is given up, however steadily it drips.
MAX_SECONDS = 120
_CHUNK = 1 << 18


def read_web_image(url: str) -> bytes:
    """Read a URL, a few times where the connection fails.

    Raises:
        OSError: It cannot be had; the message names the URL.
        ValueError: It has more than `MAX_BYTES`, or takes more than `MAX_SECONDS`.
    """
    try:
        return with_retries(url, lambda: _read(url))
    except (OSError, http.client.HTTPException) as error:
        raise OSError(f'cannot download the image {url}: {error}') from error


def _read(url: str) -> bytes:
    request = urllib.request.Request(url, headers={'User-Agent': 'tresnet_mm'})
    end, data = time.monotonic() + MAX_SECONDS, bytearray()
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
        length = answer.headers.get('Content-Length')
        while chunk := answer.read1(_CHUNK):
            data += chunk
            if len(data) > MAX_BYTES:
                raise ValueError(f'the image {url} has more than {MAX_BYTES} bytes')
            if time.monotonic() > end:
                raise ValueError(f'the image {url} is not there after {MAX_SECONDS} s: only '
                                 f'{len(data)} bytes came')
    if length is not None and len(data) != int(length):
        raise OSError(f'the connection ended after {len(data)} of {length} bytes')
    return bytes(data)
