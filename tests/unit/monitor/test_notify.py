"""Alerts reach a chat: a real HTTP server takes what is posted."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from interlock.errors import DependencyUnavailable
from monitor import notify
from tests.door import Door, served
from tests.unit.context import Context


class Chat:
    """Keeps what came; answers what it is told."""

    def __init__(self) -> None:
        self.came: list[tuple[str, Any]] = []
        self.status = 200
        chat = self

        class Posts(Door):
            def answer(self) -> None:
                chat.came.append((self.path, json.loads(self.came())))
                self.say(chat.status)

        self.door = Posts


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch) -> Iterator[Chat]:
    found = Chat()
    with served(found.door) as address:
        monkeypatch.setenv("ENVIRONMENT", "test")
        monkeypatch.setenv("ALERT_WEBHOOK", f"{address}/services/secret?thread=1")
        notify.Settings.load.cache_clear()
        yield found


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
