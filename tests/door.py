"""A small HTTP server of a test's or a benchmark's own, on the loopback address."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from typing import TypeVar

S = TypeVar("S", bound=HTTPServer)


class Door(BaseHTTPRequestHandler):
    """Keeps connections, answers whole bodies, and leaves the test's output to the test."""

    protocol_version = "HTTP/1.1"
    # Headers and body go together: as two packets the second waits for the first one's acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True

    def answer(self) -> None:
        """What the test's own door does with a request, whatever its method."""
        raise NotImplementedError

    def _answer(self) -> None:
        self.answer()

    do_DELETE = do_GET = do_HEAD = do_POST = do_PUT = _answer  # noqa: N815 - the library's names

    def came(self) -> bytes:
        """The request's body."""
        return self.rfile.read(int(self.headers.get("content-length", 0)))

    def say(self, status: int, body: bytes = b"", headers: Mapping[str, str] = {}) -> None:
        """A whole answer."""
        self.send_response(status)
        for name, value in {"content-length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def running(server: S) -> Iterator[S]:
    """Have a server answer meanwhile."""
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def served(door: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Answer by this door meanwhile, on any free port; the address."""
    with running(ThreadingHTTPServer(("127.0.0.1", 0), door)) as server:
        yield f"http://127.0.0.1:{server.server_port}"
