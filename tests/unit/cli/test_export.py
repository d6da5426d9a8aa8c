"""An exported folder: complete, checked by sha256sum, and without a word of where it was made."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

import serve.infer
from cli.export import write
from interlock.records import ServedModel
from release.steer import steer
from serve.asgi import Application
from tests.unit.context import Context
from tests.unit.release.world import World, make, sigmoid


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> World:
    return make(monkeypatch, capsys)


@pytest.fixture
def folder(tmp_path: Path, world: World) -> Path:
    package = world.register(2, sigmoid(2.0))
    served = ServedModel.from_json(world.artefacts.get(package.candidate.served))
    release = {"schema_version": 1, "model": "flats", "revision": 7,
               "champion": {"version": 2, "served": package.candidate.served.model_dump(mode="json")}}  # fmt: skip
    parts = {
        "served.json": served.to_json().encode(),
        "model.onnx": world.artefacts.get(served.onnx),
        "release.json": json.dumps(release).encode(),
    }
    write(tmp_path / "out", parts, served)
    return tmp_path / "out"


def test_every_file_has_its_checksum(folder: Path) -> None:
    done = subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=folder, check=False)
    assert done.returncode == 0
    listed = {line.split("  ", 1)[1] for line in (folder / "SHA256SUMS").read_text().splitlines()}
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert there - listed == {"SHA256SUMS"}
    (folder / "model/model.onnx").write_bytes(b"altered")
    assert subprocess.run(["sha256sum", "-c", "--status", "SHA256SUMS"], cwd=folder, check=False).returncode == 1


def test_the_pins_are_those_of_the_layers(folder: Path) -> None:
    pins = (folder / "requirements.txt").read_text()
    for name in ("numpy==", "onnxruntime==", "uvicorn=="):
        assert name in pins
    assert "boto3" not in pins
    assert "://" not in "".join(line for line in pins.splitlines() if not line.lstrip().startswith("#"))


def test_the_readme_says_what_it_is(folder: Path) -> None:
    assert (folder / "README.md").read_text().startswith("# flats, version 2\n")
    assert "revision 7" in (folder / "README.md").read_text()
    assert "--require-hashes" in (folder / "Dockerfile").read_text()


def asked(path: Path, method: str, url: str, body: bytes = b"") -> tuple[int, dict[str, Any], dict[str, str]]:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(Application(path / "model"))  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://edge") as client:
            return await client.request(method, url, content=body, headers={"content-type": "application/json"})

    answer = asyncio.run(ask())
    return answer.status_code, answer.json(), dict(answer.headers)


def through_the_function(method: str, url: str, body: bytes = b"") -> tuple[int, dict[str, Any], dict[str, str]]:
    event = {
        "requestContext": {"http": {"method": method}}, "rawPath": url, "body": body.decode(),
        "headers": {"content-type": "application/json"},
    }  # fmt: skip
    answer = serve.infer.handler(event, Context("serve-infer", "r"))
    return answer["statusCode"], json.loads(answer["body"]), answer["headers"]


def inputs(*sizes: Any) -> bytes:
    tensor = {"datatype": "FP32", "shape": [len(sizes)], "data": list(sizes)}
    places = {"datatype": "BYTES", "shape": [len(sizes)], "data": ["north"] * len(sizes)}
    return json.dumps({"id": "x", "inputs": [{"name": "size", **tensor}, {"name": "place", **places}]}).encode()


@pytest.mark.parametrize(
    ("method", "url", "body"),
    [
        ("GET", "/v2", b""),
        ("GET", "/v2/health/live", b""),
        ("GET", "/v2/health/ready", b""),
        ("GET", "/v2/models/flats", b""),
        ("GET", "/v2/models/flats/ready", b""),
        ("POST", "/v2/models/flats/infer", inputs(0.5, -1.0, 1e30)),
        ("POST", "/v2/models/flats/versions/2/infer", inputs(0.1)),
        ("POST", "/v2/models/flats/versions/1/infer", inputs(0.1)),
        ("POST", "/v2/models/flats/infer", inputs("a", None)),
        ("POST", "/v2/models/flats/infer", b"{"),
        ("POST", "/v2/models/other/infer", inputs(1.0)),
        ("GET", "/v3", b""),
    ],
)
def test_the_folder_answers_as_the_function_does(
    world: World, folder: Path, method: str, url: str, body: bytes
) -> None:
    """Version 2 released in the one, exported in the other: status, body and headers are the same."""
    revision = world.release(2, sigmoid(2.0)).revision
    if world.live.challenger is not None:
        revision = steer(world.state, world.ledger, world.bus, "flats", "promote", "a test", "").revision
    status, answer, headers = through_the_function(method, url, body)
    got, found, told = asked(folder, method, url, body)
    assert got == status
    for document in (answer, found):
        document.get("parameters", {}).pop("request_id", None)
        assert document.get("parameters", {}).pop("revision", None) in {None, revision, 7}
    assert found == answer
    assert {name: told[name] for name in headers if name not in {"x-request-id", "x-interlock-revision"}} == {
        name: value for name, value in headers.items() if name not in {"x-request-id", "x-interlock-revision"}
    }


def test_an_altered_folder_does_not_start(folder: Path) -> None:
    (folder / "model/model.onnx").write_bytes(b"altered")
    status, answer, _ = asked(folder, "GET", "/v2/models/flats")
    assert status == 500
    assert "is not the recorded" in answer["error"]


def test_a_body_beyond_the_api_s_limit_is_refused(folder: Path) -> None:
    status, answer, _ = asked(folder, "POST", "/v2/models/flats/infer", b" " * (6 * 1024 * 1024 + 1))
    assert (status, "larger than 6 MB" in answer["error"]) == (413, True)
