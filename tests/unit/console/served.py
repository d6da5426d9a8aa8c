"""The console's handler behind a plain HTTP server on the loopback address, for a browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qsl, urlsplit

from tests import door
from tests.unit.console.world import get


@contextmanager
def served() -> Iterator[str]:
    """The address before `/console`."""
    with door.served(_Door) as address:
        yield address


class _Door(door.Door):
    def answer(self) -> None:
        asked = urlsplit(self.path)
        status, body, headers = get(asked.path, **dict(parse_qsl(asked.query)))
        self.say(status, body.encode(), headers)
