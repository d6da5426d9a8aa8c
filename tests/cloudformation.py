"""Where CloudFormation waits for the answer to what a stack asked a function."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any


class Waiting:
    """CloudFormation, waiting behind an address for what is put there."""

    def __init__(self) -> None:
        self.answers: list[dict[str, Any]] = []
        self.types: list[str | None] = []
        waiting = self

        class Door(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                waiting.types.append(self.headers.get("content-type"))
                waiting.answers.append(json.loads(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self._server = HTTPServer(("127.0.0.1", 0), Door)
        self.url = f"http://127.0.0.1:{self._server.server_port}/answer?X-Amz-Signature=abc"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Answer nobody any more."""
        self._server.shutdown()
        self._server.server_close()
