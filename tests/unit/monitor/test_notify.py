"""Alerts reach a chat: a real HTTP server takes what is posted."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from interlock.errors import DependencyUnavailable
from monitor import notify
from tests.unit.monitor.world import Context


class Chat(HTTPServer):
    """Keeps what came; answers what it is told."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Door)
        self.came: list[tuple[str, Any]] = []
        self.status = 200


class Door(BaseHTTPRequestHandler):
    server: Chat

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.came.append((self.path, json.loads(body)))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch) -> Iterator[Chat]:
    server = Chat()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("ENVIRONMENT", "test")
    monkeypatch.setenv("ALERT_WEBHOOK", f"http://127.0.0.1:{server.server_port}/services/secret?thread=1")
    notify.Settings.load.cache_clear()
    yield server
    server.shutdown()
    server.server_close()


def event(message: str) -> dict[str, Any]:
    return {"Records": [{"Sns": {"Subject": "loans: the drift is over", "Message": message}}]}


def test_an_alert_is_posted_with_its_subject_and_text(chat: Chat) -> None:
    assert notify.handler(event('There is "nothing" to do.'), Context()) == {"sent": 1}
    assert chat.came == [
        ("/services/secret?thread=1", {"text": '*loans: the drift is over*\nThere is "nothing" to do.'})
    ]


def test_a_chat_that_refuses_is_an_error_that_does_not_tell_its_address(chat: Chat) -> None:
    chat.status = 404
    with pytest.raises(DependencyUnavailable, match="answered 404") as caught:
        notify.handler(event("x"), Context())
    assert "secret" not in caught.value.message


def test_a_chat_that_is_not_there_is_an_error(chat: Chat) -> None:
    with pytest.raises(DependencyUnavailable, match="does not answer"):
        notify.post("http://127.0.0.1:9/services/secret", "x", "y")
