"""The servers of a trial: an emulator, and one before it that answers with values that the document does not list."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_NEW_VALUES: Final = ((b'"status":"passed"', b'"status":"paused"'), (b'"code":"not_found"', b'"code":"vanished"'))


@contextmanager
def serve_emulator(*options: str) -> Iterator[int]:
    """The port of a fresh emulator; `options` are added to its command line."""
    command = (sys.executable, "-P", "-m", "zof_emulator", "serve", "--port", "0", "--clock", "auto", "--quiet")
    with subprocess.Popen((*command, *options), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as emulator:
        assert emulator.stdout is not None
        try:
            yield json.loads(emulator.stdout.readline())["port"]
        finally:
            emulator.terminate()


@contextmanager
def serve() -> Iterator[tuple[int, int]]:
    """The ports of a fresh emulator, and of a server that passes its answers on with new values of choices."""
    with serve_emulator() as port:
        server = ThreadingHTTPServer(("127.0.0.1", 0), _altering(port))
        server.daemon_threads = True
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield port, server.server_port
        finally:
            server.shutdown()
            server.server_close()


def _altering(port: int) -> type[BaseHTTPRequestHandler]:
    class Altering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            headers = {"Authorization": self.headers.get("Authorization", "")}
            connection.request("GET", self.path, headers=headers)
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
            for listed, new in _NEW_VALUES:
                content = content.replace(listed, new)
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in {"content-length", "date", "server", "connection", "transfer-encoding"}:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    return Altering
