"""The signing proxy, asked by a real HTTP client, before an API that keeps what reached it."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import boto3
import httpx
import pytest

from cli.console import _token
from cli.proxy import Proxy
from interlock.aws.sigv4 import Credentials, signed
from interlock.errors import InvalidSettings
from tests.door import Door, running, served

SESSION = boto3.Session("AKIDEXAMPLE", "a-secret", "a-session-token", region_name="eu-central-1")
LARGEST = 10 * 1024 * 1024


@dataclass
class Call:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Api:
    """An API that answers what a test wants, in pieces if it is given several."""

    url: str = ""
    calls: list[Call] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "application/json"})
    pieces: list[bytes] = field(default_factory=lambda: [b"{}"])
    go_on: threading.Event = field(default_factory=threading.Event)
    status: int = 200
    connections: int = 0
    hangs_up: bool = False

    def verified(self, call: Call) -> bool:
        """Whether the signature is right, by the other implementation of it."""
        parts = urlsplit(call.target)
        names = call.headers["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
        given = {name: call.headers[name] for name in names if not name.startswith("x-amz-")}
        wanted = signed(
            call.method, parts.path, dict(parse_qsl(parts.query, keep_blank_values=True)), given, call.body,
            Credentials("AKIDEXAMPLE", "a-secret", "a-session-token"), "eu-central-1", "execute-api",
            call.headers["x-amz-date"],
        )  # fmt: skip
        return wanted["authorization"] == call.headers["authorization"]


@pytest.fixture
def api() -> Iterator[Api]:
    found = Api()

    class Handler(Door):
        # Piece by piece.
        wbufsize = 0

        def setup(self) -> None:
            found.connections += 1
            super().setup()

        def answer(self) -> None:
            body = self.came()
            headers = {name.lower(): value for name, value in self.headers.items()}
            found.calls.append(Call(self.command, self.path, headers, body))
            self.send_response(found.status)
            for name, value in found.headers.items():
                self.send_header(name, value)
            # As a server does with what is idle: without a word.
            self.close_connection = found.hangs_up
            if len(found.pieces) == 1:
                if "content-length" not in found.headers:
                    self.send_header("content-length", str(len(found.pieces[0])))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(found.pieces[0])
                return
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            for number, piece in enumerate(found.pieces):
                if number:
                    found.go_on.wait(10)
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")

    with served(Handler) as found.url:
        yield found


@pytest.fixture
def proxy(api: Api) -> Iterator[Proxy]:
    with running(Proxy(api.url, SESSION)) as found:
        yield found


@pytest.fixture
def browser(proxy: Proxy) -> Iterator[httpx.Client]:
    """One that has opened the printed address."""
    with httpx.Client(base_url=proxy.origin, trust_env=False) as client:
        assert client.get(proxy.url).status_code == 303
        yield client


def ask(proxy: Proxy, method: str = "GET", path: str = "/v2", **more: Any) -> httpx.Response:
    """As a client that holds the token."""
    headers = {"authorization": f"Bearer {proxy.bearer}"} | more.pop("headers", {})
    return httpx.request(method, proxy.origin + path, headers=headers, trust_env=False, **more)


def test_the_printed_address_works_once_and_leaves_a_cookie_that_no_script_and_no_other_site_gets(
    proxy: Proxy, api: Api
) -> None:
    with httpx.Client(trust_env=False) as client:
        first = client.get(proxy.url)
        assert (first.status_code, first.headers["location"]) == (303, "/console")
        cookie = first.headers["set-cookie"]
        assert all(part in cookie for part in ("; HttpOnly", "; SameSite=Strict", "; Path=/"))
        assert first.headers["referrer-policy"] == "no-referrer"
        assert proxy.secret not in proxy.url
        assert client.get(proxy.origin + "/console").status_code == 200
    again = httpx.get(proxy.url, trust_env=False)
    assert again.status_code == 403
    assert "set-cookie" not in again.headers
    assert "used" in again.json()["error"]
    assert [call.target for call in api.calls] == ["/console"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": "Bearer wrong"}, 401),
        ({"authorization": "Basic {bearer}"}, 401),
        ({"cookie": "interlock-1=wrong"}, 401),
        ({"authorization": "Bearer {bearer}", "host": "evil.example"}, 421),
        ({"authorization": "Bearer {bearer}", "host": "127.0.0.1"}, 421),
        ({"authorization": "Bearer {bearer}", "origin": "http://evil.example"}, 403),
        ({"authorization": "Bearer {bearer}", "origin": "null"}, 403),
        ({"authorization": "Bearer {bearer}", "origin": "http://127.0.0.1:1"}, 403),
        ({"authorization": "Bearer {bearer}", "sec-fetch-site": "cross-site"}, 403),
        ({"authorization": "Bearer {bearer}", "sec-fetch-site": "same-site"}, 403),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nobody_else_reaches_the_api(proxy: Proxy, api: Api, method: str, headers: dict[str, str], status: int) -> None:
    given = {name: value.format(bearer=proxy.bearer) for name, value in headers.items()}
    found = httpx.request(method, proxy.origin + "/v2", headers=given, trust_env=False)
    assert found.status_code == status
    assert found.json()["error"]
    assert proxy.bearer not in found.text
    assert found.headers["cache-control"] == "no-store"
    assert not api.calls


def test_the_one_time_token_opens_nothing_for_a_foreign_page(proxy: Proxy) -> None:
    for headers in ({"host": "evil.example"}, {"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}):
        assert httpx.get(proxy.url, headers=headers, trust_env=False).status_code in {403, 421}
    assert httpx.get(proxy.url, trust_env=False).status_code == 303


def test_a_cookie_changes_nothing_without_the_page_s_own_origin(browser: httpx.Client, proxy: Proxy, api: Api) -> None:
    assert browser.post("/v2/models/m/infer", json={}).status_code == 403
    assert browser.post("/v2/models/m/infer", json={}, headers={"origin": "http://evil.example"}).status_code == 403
    assert not api.calls
    own = {"origin": proxy.origin, "sec-fetch-site": "same-origin"}
    assert browser.post("/v2/models/m/infer", json={}, headers=own).status_code == 200
    assert len(api.calls) == 1


def test_cookies_of_other_programs_on_this_machine_do_no_harm(proxy: Proxy, api: Api) -> None:
    mine = f"{proxy.cookie}={proxy.secret}"
    for others in ('user="2|1:0|{\\"a\\": [1]}"; ', "=;;a;  ", f"{proxy.cookie}=old; "):
        found = httpx.get(proxy.origin + "/v2", headers={"cookie": others + mine}, trust_env=False)
        assert found.status_code == 200
        assert httpx.get(proxy.origin + "/v2", headers={"cookie": others.rstrip()}, trust_env=False).status_code == 401


def test_what_reaches_the_api_is_signed_and_holds_none_of_the_secrets(proxy: Proxy, api: Api) -> None:
    body = json.dumps({"inputs": []}).encode()
    sent = {
        "content-type": "application/json; charset=utf-8", "x-routing-key": "anna", "accept-encoding": "gzip",
        "cookie": "other=1", "x-amz-security-token": "the caller's", "x-amz-date": "yesterday",
        "referer": "http://127.0.0.1/", "user-agent": "a-client/1",
    }  # fmt: skip
    assert ask(proxy, "POST", "/v2/models/m/infer?a=1&b=%C3%B6&c=", content=body, headers=sent).status_code == 200
    (call,) = api.calls
    assert (call.method, call.target, call.body) == ("POST", "/v2/models/m/infer?a=1&b=%C3%B6&c=", body)
    assert api.verified(call)
    call.body = b"tampered"
    assert not api.verified(call)
    assert call.headers["host"] == urlsplit(api.url).netloc
    assert call.headers["x-amz-security-token"] == "a-session-token"
    assert call.headers["x-routing-key"] == "anna"
    assert call.headers["user-agent"] == "a-client/1"
    assert call.headers["content-type"] == "application/json; charset=utf-8"
    for secret in (proxy.bearer, proxy.secret, "other=1", "the caller's"):
        assert secret not in json.dumps(call.headers)
    assert not {"cookie", "referer", "origin"} & set(call.headers)


def test_the_answer_comes_back_as_it_is(proxy: Proxy, api: Api) -> None:
    packed = b"\x1f\x8b" + bytes(range(256))
    api.headers = {
        "content-type": "text/html; charset=utf-8", "content-encoding": "x-packed", "x-interlock-revision": "7",
        "content-security-policy": "default-src 'none'", "x-content-type-options": "nosniff",
        "connection": "keep-alive",
    }  # fmt: skip
    api.pieces, api.status = [packed], 418
    headers = {"authorization": f"Bearer {proxy.bearer}"}
    with httpx.stream("GET", proxy.origin + "/console", headers=headers, trust_env=False) as found:
        assert b"".join(found.iter_raw()) == packed
        assert found.status_code == 418
    kept = {name: value for name, value in found.headers.items() if name not in {"date", "server", "content-length"}}
    assert kept == {name: value for name, value in api.headers.items() if name != "connection"}
    head = ask(proxy, "HEAD")
    assert (head.status_code, head.content) == (418, b"")


def test_bodies_pass_through_piece_by_piece(proxy: Proxy, api: Api) -> None:
    api.pieces = [b"first", b"second", b"third"]
    headers = {"authorization": f"Bearer {proxy.bearer}"}
    given = (part for part in (b"one ", b"two ", b"three"))
    with httpx.stream("POST", proxy.origin + "/v2", headers=headers, content=given, trust_env=False) as found:
        pieces = found.iter_raw()
        assert next(pieces) == b"first", "before the API has sent the rest"
        api.go_on.set()
        assert b"".join(pieces) == b"secondthird"
    assert api.calls[0].body == b"one two three"
    assert api.verified(api.calls[0])


def test_a_client_s_connection_has_one_to_the_api_and_a_new_one_when_that_ends(proxy: Proxy, api: Api) -> None:
    headers = {"authorization": f"Bearer {proxy.bearer}"}
    with httpx.Client(base_url=proxy.origin, headers=headers, trust_env=False) as client:
        for number in range(3):
            assert client.post("/v2", content=b"x" * number).status_code == 200
        assert client.head("/v2").status_code == 200
        assert api.connections == 1
        api.hangs_up = True
        assert client.get("/v2").status_code == 200
        ended = time.monotonic() + 5
        while api.connections == 1 and time.monotonic() < ended:
            assert client.post("/v2").status_code == 200
        assert api.connections >= 2
    assert [call.body for call in api.calls[:3]] == [b"", b"x", b"xx"]


def test_half_an_answer_does_not_look_like_a_whole_one(proxy: Proxy, api: Api) -> None:
    api.headers["content-length"], api.hangs_up = "100", True
    with pytest.raises(httpx.RemoteProtocolError):
        ask(proxy)


def test_the_largest_body_that_the_api_takes_and_one_byte_more(proxy: Proxy, api: Api) -> None:
    body = b"x" * LARGEST
    assert ask(proxy, "POST", content=body).status_code == 200
    assert hashlib.sha256(api.calls[0].body).digest() == hashlib.sha256(body).digest()
    assert ask(proxy, "POST", content=body + b"x").status_code == 413
    assert ask(proxy, "POST", content=(part for part in (body, b"x"))).status_code == 413
    assert len(api.calls) == 1


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"POST /v2 HTTP/1.1\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n", b"400"),
        (b"POST /v2 HTTP/1.1\r\ncontent-length: 2\r\ncontent-length: 3\r\n", b"400"),
        (b"POST /v2 HTTP/1.1\r\ncontent-length: -1\r\n", b"400"),
        (b"POST /v2 HTTP/1.1\r\ncontent-length: 1_0\r\n", b"400"),
        (b"POST /v2 HTTP/1.1\r\ntransfer-encoding: gzip, chunked\r\n", b"400"),
        (b"GET http://evil.example/v2 HTTP/1.1\r\n", b"400"),
        (b"GET /v2 HTTP/1.1\r\nhost: evil.example\r\n", b"421"),
        (b"CONNECT evil.example:443 HTTP/1.1\r\n", b"501"),
    ],
)
def test_requests_that_are_no_requests(proxy: Proxy, api: Api, head: bytes, status: bytes) -> None:
    with socket.create_connection(("127.0.0.1", proxy.server_port), timeout=10) as raw:
        more = f"host: 127.0.0.1:{proxy.server_port}\r\nauthorization: Bearer {proxy.bearer}\r\n\r\n"
        raw.sendall(head + more.encode() + b"0\r\n\r\n")
        raw.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: raw.recv(65536), b""))
    assert answer.split(b" ", 2)[1] == status, answer
    assert answer.count(b"HTTP/1.1 ") == 1, "what came behind it was taken for another request"
    assert not api.calls


def test_an_api_that_does_not_answer_is_said(api: Api) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{free.getsockname()[1]}"
    with running(Proxy(dead, SESSION)) as proxy:
        found = ask(proxy)
    assert found.status_code == 502
    assert dead in found.json()["error"]


def test_without_credentials_nothing_is_sent(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SESSION, "get_credentials", lambda: None)
    with running(Proxy(api.url, SESSION)) as proxy:
        assert ask(proxy).status_code == 502
    assert not api.calls


def test_a_port_that_is_taken_is_named(proxy: Proxy, api: Api) -> None:
    with pytest.raises(InvalidSettings, match=str(proxy.server_port)):
        Proxy(api.url, SESSION, proxy.server_port)


def test_a_token_file_is_made_once_for_its_owner_s_eyes(tmp_path: Path) -> None:
    path = tmp_path / "token"
    made = _token(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert _token(path) == made
    path.write_text("short\n")
    with pytest.raises(InvalidSettings, match="holds no token"):
        _token(path)
    with pytest.raises(InvalidSettings):
        _token(tmp_path / "no" / "token")
