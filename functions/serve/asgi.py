"""The ASGI door of the protocol: what an exported folder is served by, without AWS.

    uvicorn serve.asgi:app --app-dir server

INTERLOCK_MODEL names the folder of the model (default: `model`). Who calls is not asked.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from interlock.aws.direct import Ref
from interlock.errors import ChecksumMismatch, InterlockError, PayloadTooLarge
from serve.door import Call, Reply, refusal, response_of
from serve.live import Live
from serve.loaded import Memory
from serve.operations import Service, perform
from serve.protocol.routes import route
from serve.stored import live_release
from serve.telemetry import say, warning

Message = MutableMapping[str, Any]
# As much as the API takes.
_LONGEST = 6 * 1024 * 1024


class Folder:
    """A version's files as the source that serving reads from."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._release = (path / "release.json").read_bytes()
        self.model = live_release(self._release).model

    def document(self, pk: str, sk: str) -> bytes | None:
        """The release that was exported."""
        return self._release if (pk, sk) == (f"model#{self.model}", "live") else None

    def get(self, ref: Ref) -> bytes:
        """Exactly these bytes.

        Raises:
            ChecksumMismatch: the file is not the recorded one.
        """
        path = self._path / ref.key.rsplit("/", 1)[-1]
        body = path.read_bytes()
        if hashlib.sha256(body).hexdigest() != ref.sha256:
            raise ChecksumMismatch(f"{path} is not the recorded {ref.sha256[:12]}…")
        return body


class Application:
    """One version behind ASGI 3 (https://asgi.readthedocs.io); opened when it starts, so that a wrong file stops it."""

    def __init__(self, path: Path, *, captures: bool = False) -> None:
        self._path = path
        self._captures = captures
        self._service: Service | None = None

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Answer a request, or a word about the server's life."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        identity = uuid.uuid4().hex
        reply = self._answer(scope, await _body(receive), identity)
        response = response_of(reply, identity)
        headers = [(name.encode(), value.encode()) for name, value in response["headers"].items()]
        headers.append((b"content-length", str(len(reply.body)).encode()))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})

    def service(self) -> Service:
        """The version, opened and checked.

        Raises:
            ChecksumMismatch: a file is not the recorded one.
        """
        if self._service is None:
            folder = Folder(self._path)
            live = Live(folder, Memory(_LONGEST), unreadable=lambda: None)
            live.version(live.release(folder.model), None)
            self._service = Service(live, (folder.model,), captures=self._captures)
        return self._service

    def _answer(self, scope: Message, body: bytes | None, identity: str) -> Reply:
        if body is None:
            return refusal(PayloadTooLarge(f"the body is larger than {_LONGEST >> 20} MB"), identity)
        try:
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            call = Call(scope["method"], scope["path"], headers, body, identity)
            return perform(route(call.method, call.path), call, self.service())
        except Exception as error:  # noqa: BLE001 - the protocol's error form is owed to every caller
            if not isinstance(error, InterlockError):
                say(warning(identity, type(error).__name__, str(error)))
            return refusal(error, identity)

    async def _live(
        self, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await send({"type": "lifespan.shutdown.complete"})
                return
            try:
                self.service()
            except Exception as error:  # noqa: BLE001 - the server says why it does not start
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                return
            await send({"type": "lifespan.startup.complete"})


async def _body(receive: Callable[[], Awaitable[Message]]) -> bytes | None:
    """The whole body; None when it is longer than the API takes."""
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        part = message.get("body", b"")
        size += len(part)
        if size <= _LONGEST:
            parts.append(part)
        more = message.get("more_body", False)
    return b"".join(parts) if size <= _LONGEST else None


app = Application(Path(os.environ.get("INTERLOCK_MODEL", "model")), captures="INTERLOCK_CAPTURES" in os.environ)
