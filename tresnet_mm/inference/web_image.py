"""Images from the web, with an end to waiting and a limit to their size."""

from ..file_backends import read_web_file

MAX_BYTES = 128 << 20
#: Seconds after which a transfer is given up, however steadily it drips.
MAX_SECONDS = 120


def read_web_image(url: str) -> bytes:
    """Read a URL, a few times where the connection fails.

    Raises:
        OSError: It cannot be had; the message names the URL.
        ValueError: It has more than `MAX_BYTES`, or takes more than `MAX_SECONDS`.
    """
    try:
        return read_web_file(url, MAX_BYTES, MAX_SECONDS)
    except OSError as error:
        raise OSError(f'cannot download the image: {error}') from error
