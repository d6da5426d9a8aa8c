"""A proxy on this machine that signs what it hands on to the API, for browsers and clients that cannot sign.

Whoever reaches it acts with the credentials of the person who started it, so it asks three things of every request:

- It names this machine: a page elsewhere whose name is made to point here (DNS rebinding) sends its own name as Host.
- It does not come from a page of another origin: browsers say so (Origin, Sec-Fetch-Site).
- It holds a secret: the bearer token, or the cookie that a browser got for the token in the address that was printed,
  which works once.
"""

from __future__ import annotations

import hmac
import http.client
import json
import secrets
import socket
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import boto3

from cli.framing import LARGEST, framed
from interlock.aws.http import signed_headers
from interlock.connection import connection_to, request_target
from interlock.errors import DependencyUnavailable, InvalidRequest, InvalidSettings, PayloadTooLarge

_CHUNK = 64 * 1024
# The API gives up after 30 seconds; a client that says nothing for so long is gone.
_API_SECONDS, _CLIENT_SECONDS = 35.0, 60.0
_FIRST = "/console"
_OPEN = "/open"
# What is about one connection only (RFC 9110, 7.6.1), and what the proxy answers for itself.
_HOP = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding",
     "upgrade", "proxy-connection", "expect"}
)  # fmt: skip
_NOT_SENT = _HOP | {"host", "content-length", "content-type", "cookie", "authorization", "origin", "referer"}
_SAFE = frozenset({"GET", "HEAD"})


class Denied(Exception):
    """A request that is not handed on; never leaves this module."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Proxy(ThreadingHTTPServer):
    """Listens on the loopback address until `shutdown`."""

    daemon_threads = True

    def __init__(self, api: str, session: boto3.Session, port: int = 0, bearer: str | None = None) -> None:
        """Take a port.

        Args:
            api: the API's address.
            session: who signs.
            port: 0 is any that is free.
            bearer: the token of clients that are no browsers; a new one without.

        Raises:
            InvalidSettings: the port is taken.
        """
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except OSError as error:
            raise InvalidSettings(f"port {port}: {error.strerror}", remedy="Leave out --port.") from None
        self.api = api.rstrip("/")
        self.session = session
        self.bearer = bearer or secrets.token_urlsafe(32)
        # The port is part of the name: browsers send a cookie to every port of a host.
        self.cookie, self.secret = f"interlock-{self.server_port}", secrets.token_urlsafe(32)
        self.names = frozenset(f"{name}:{self.server_port}" for name in ("127.0.0.1", "localhost"))
        self._once: str | None = secrets.token_urlsafe(32)
        self._lock = threading.Lock()
        self.origin = f"http://127.0.0.1:{self.server_port}"
        self.url = f"{self.origin}{_OPEN}?token={self._once}"

    def opens(self, token: str) -> bool:
        """Whether this is the token of the printed address; it is so once."""
        with self._lock:
            if self._once is None or not _same(token, self._once):
                return False
            self._once = None
            return True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is nobody's news; a fault of ours is."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    """One connection of a client, and the connection to the API that goes with it."""

    server: Proxy
    protocol_version = "HTTP/1.1"
    timeout = _CLIENT_SECONDS
    # Head and body are written one after the other: the second would wait for the first to be confirmed.
    disable_nagle_algorithm = True
    server_version, sys_version = "interlock", ""
    _kept: http.client.HTTPConnection | None = None
    _own: ClassVar[dict[str, str]] = {
        "cache-control": "no-store",
        "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }

    def _answer(self) -> None:
        try:
            self._check_sender()
            parts = urlsplit(self.path)
            if parts.path == _OPEN:
                self._open(parse_qs(parts.query).get("token", [""])[0])
                return
            self._check_secret()
            # The signature covers the body, so that it is read whole.
            self._hand_on(b"".join(framed(self.rfile, self.headers)))
        except Denied as denied:
            self._refuse(denied.status, str(denied))
        except PayloadTooLarge as error:
            self._refuse(error.http_status, f"{error.message}. {error.next_step}")
        except InvalidRequest as error:
            self._refuse(error.http_status, error.message)
        except DependencyUnavailable as error:
            self._refuse(502, f"{error.message}. {error.next_step}")

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _answer  # noqa: N815 - the library's names

    def _check_sender(self) -> None:
        """That the request is meant for this proxy, and comes from no other place.

        Raises:
            Denied: it is not, or does.
        """
        if not self.path.startswith("/"):
            raise Denied(400, "the request names another server")
        host = self.headers.get_all("host", [])
        if len(host) != 1 or host[0].lower() not in self.server.names:
            raise Denied(421, f"this proxy is {self.server.origin} and answers under no other name")
        origin = self.headers.get("origin")
        if origin is not None and origin.lower() != f"http://{host[0].lower()}":
            raise Denied(403, "a page of another origin may not use this proxy")
        # `none` is a person's own doing: the address line, a bookmark.
        if self.headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
            raise Denied(403, "a page of another origin may not use this proxy")

    def _check_secret(self) -> None:
        """That the sender holds the bearer token or the cookie.

        Raises:
            Denied: he does not.
        """
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and _same(token.strip(), self.server.bearer):
            return
        # Other programs of this machine leave cookies of any form under the same name of a host.
        pairs = (pair.strip().partition("=") for pair in self.headers.get("cookie", "").split(";"))
        if not any(name == self.server.cookie and _same(value, self.server.secret) for name, _, value in pairs):
            raise Denied(401, "open the address that `interlock console` printed, or send its bearer token")
        # Browsers name the origin of every request that changes something.
        if self.command not in _SAFE and "origin" not in self.headers:
            raise Denied(403, "a request that changes something must name its origin")

    def _open(self, token: str) -> None:
        """Give a browser its cookie for the token that works once.

        Raises:
            Denied: it does not, or no longer.
        """
        if self.command != "GET" or not self.server.opens(token):
            raise Denied(403, "this address has been used; start `interlock console` again for a new one")
        self.send_response(303)
        for name, value in self._own.items():
            self.send_header(name, value)
        self.send_header("location", _FIRST)
        self.send_header("set-cookie", f"{self.server.cookie}={self.server.secret}; HttpOnly; SameSite=Strict; Path=/")
        self.send_header("content-length", "0")
        self.end_headers()

    def _hand_on(self, body: bytes) -> None:
        """Sign the request, send it to the API, and pass the answer through as it comes.

        Raises:
            DependencyUnavailable: the API does not answer, or there are no credentials.
        """
        url = self.server.api + self.path
        signature = signed_headers(self.command, url, body, self.server.session, self.headers.get("content-type"))
        connection, answer = self._asked(url, signature, body)
        if self._pass_through(answer):
            # It closes itself where the API wants that.
            self._kept = connection
        else:
            connection.close()

    def _asked(
        self, url: str, signature: dict[str, str], body: bytes
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        """The beginning of the API's answer, over the connection of the request before where there is one."""
        kept, self._kept = self._kept, None
        connection = kept or connection_to(url, _API_SECONDS)
        try:
            try:
                return connection, self._sent(connection, url, signature, body)
            except (ConnectionError, ssl.SSLError):
                if kept is None:
                    raise
            # Idle ones are closed without a word. Asking anew is safe: whatever the API takes may come twice.
            kept.close()
            connection = connection_to(url, _API_SECONDS)
            return connection, self._sent(connection, url, signature, body)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise DependencyUnavailable(f"{self.server.api} does not answer: {error}") from error

    def _sent(
        self, connection: http.client.HTTPConnection, url: str, signature: dict[str, str], body: bytes
    ) -> http.client.HTTPResponse:
        connection.putrequest(self.command, request_target(url), skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in _NOT_SENT and not name.lower().startswith("x-amz-"):
                connection.putheader(name, value)
        for name, value in signature.items():
            connection.putheader(name, value)
        if body or self.command not in _SAFE:
            connection.putheader("content-length", str(len(body)))
        connection.endheaders(body or None)
        return connection.getresponse()

    def _pass_through(self, answer: http.client.HTTPResponse) -> bool:
        """Send the answer on; whether all of it came."""
        self.send_response_only(answer.status, answer.reason)
        sized = answer.length is not None or self.command == "HEAD" or answer.status in {204, 304}
        if not sized and self.request_version == "HTTP/1.0":
            # Its client knows the end by the connection's.
            sized = self.close_connection = True
        for name, value in answer.getheaders():
            if name.lower() not in _HOP:
                self.send_header(name, value)
        if not sized:
            self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        try:
            while chunk := answer.read1(_CHUNK):
                self.wfile.write(chunk if sized else b"%x\r\n%s\r\n" % (len(chunk), chunk))
            if not sized:
                self.wfile.write(b"0\r\n\r\n")
        except (OSError, http.client.HTTPException):
            self.close_connection = True
            return False
        whole = not answer.length
        answer.close()
        # Half an answer must not look like a whole one.
        self.close_connection |= not whole
        return whole

    def finish(self) -> None:
        """The client's connection ends, and with it the other."""
        if self._kept is not None:
            self._kept.close()
        super().finish()

    def _refuse(self, status: int, message: str) -> None:
        """Say why, and end the connection: what else was sent is not looked at."""
        body = json.dumps({"error": message}).encode()
        self.close_connection = True
        self.send_response(status)
        for name, value in self._own.items():
            self.send_header(name, value)
        if status == 401:
            self.send_header("www-authenticate", 'Bearer realm="interlock console"')
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.send_header("connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self._drain()

    def _drain(self) -> None:
        """Let the answer arrive: closing upon unread bytes resets the connection before it does."""
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(1.0)
        left = LARGEST
        while left > 0 and (taken := len(self.rfile.read1(_CHUNK))):
            left -= taken

    def log_message(self, *_words: object) -> None:
        """The API's own log has every call."""


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
