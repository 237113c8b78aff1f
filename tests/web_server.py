"""A web server on the loopback interface that answers as it is told."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BODY = bytes(range(256)) * 40
WHOLE = (200, len(BODY), len(BODY))


@contextmanager
def serving(*answers) -> Iterator:
    """A server on the loopback interface that gives one answer after another.

    Each is (status, bytes to announce, bytes to send), or None to send nothing at all. Yields its
    address and the list of requests seen.
    """
    requests, release = [], threading.Event()

    class Handler(BaseHTTPRequestHandler):

        def do_GET(self):
            answer = answers[min(len(requests), len(answers) - 1)]
            requests.append(self.path)
            if answer is None:
                release.wait(20)
                return
            status, announced, sent = answer
            self.send_response(status)
            self.send_header('Content-Length', str(announced))
            self.end_headers()
            self.wfile.write(BODY[:sent])

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(('127.0.0.1', 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield f'http://127.0.0.1:{http.server_port}', requests
        release.set()
        http.shutdown()
        thread.join()
