"""Files of a web server."""

from .remote_backend import RemoteBackend
from .web_file import read_web_file


class PatientHTTPBackend(RemoteBackend):
    """In the place of mmengine's HTTP backend: it neither waits for ever nor gives up at once.

    A server that says nothing for 30 seconds, cuts the connection or has an error of its own is
    asked three times. What it says it has not is a FileNotFoundError, as of a local file.
    """

    def get(self, filepath: str) -> bytes:
        """Read the bytes of a URL.

        Raises:
            FileNotFoundError: The server has no such file.
            OSError: It cannot be read.
        """
        return read_web_file(str(filepath))

    def exists(self, filepath: str) -> bool:
        """Whether the server has the file; OSError where it does not say."""
        try:
            read_web_file(str(filepath), method='HEAD')
        except FileNotFoundError:
            return False
        return True
