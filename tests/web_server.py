"""A web server on the loopback interface that answers as it is told."""

import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from unittest.mock import patch

BODY = bytes(range(256)) * 40
WHOLE = (200, len(BODY), len(BODY))


@contextmanager
def serving(*answers) -> Iterator:
    """A server on the loopback interface that gives one answer after another.

    Each is (status, bytes to announce, bytes to send), or None to send nothing at all: for that
    this process waits 2 s, for what will come a minute. Yields its address and the list of requests
    seen.
    """
    requests, calls, release = [], [], threading.Event()
    urlopen = urllib.request.urlopen

    def opened(request, timeout):
        answer = answers[min(len(calls), len(answers) - 1)]
        calls.append(request)
        return urlopen(request, timeout=2 if answer is None else 60)

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

    with ThreadingHTTPServer(('127.0.0.1', 0), Handler) as http, \
            patch.object(urllib.request, 'urlopen', opened):
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield f'http://127.0.0.1:{http.server_port}', requests
        release.set()
        http.shutdown()
        thread.join()
