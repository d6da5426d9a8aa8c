"""A person is forgotten in every stored version, and nobody else is."""

import io
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cli.forgetting import Person, Store, forget
from tests.unit.monitor.world import World, make, model, people


def table(body: bytes) -> list[Any]:
    """The rows of a Parquet file."""
    with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
        Path(file.name).write_bytes(body)
        return duckdb.connect().sql(f"FROM read_parquet('{file.name}')").fetchall()


class Versions:
    """The part of S3 that is used: keys with all their versions."""

    def __init__(self) -> None:
        self.stored: list[tuple[str, str, bytes]] = []
        self.count = 0

    def put_object(self, Bucket: str, Key: str, Body: bytes) -> None:  # noqa: N803 - the API's names
        self.count += 1
        self.stored.append((Key, f"v{self.count}", Body))

    def get_object(self, Bucket: str, Key: str, VersionId: str) -> dict[str, Any]:  # noqa: N803
        return {
            "Body": io.BytesIO(next(body for key, version, body in self.stored if (key, version) == (Key, VersionId)))
        }

    def delete_object(self, Bucket: str, Key: str, VersionId: str) -> None:  # noqa: N803
        self.stored = [item for item in self.stored if item[:2] != (Key, VersionId)]

    def get_paginator(self, name: str) -> "Versions":
        assert name == "list_object_versions"
        return self

    def paginate(self, Bucket: str, Prefix: str) -> Iterator[dict[str, Any]]:  # noqa: N803
        newest = {key: version for key, version, _ in self.stored}
        for key, version, _ in list(self.stored):
            if key.startswith(Prefix):
                yield {"Versions": [{"Key": key, "VersionId": version, "IsLatest": newest[key] == version}]}

    def search(self, word: str) -> list[str]:
        """Keys of the versions in which a word stands, Parquet read as text."""
        found = []
        for key, _, body in self.stored:
            text = body.decode("utf-8", "replace")
            if key.endswith(".parquet"):
                text = str(table(body))
            if word in text:
                found.append(key)
        return found


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Versions:
    """Captures of two requests, one version from before a compaction, and labels of both kinds."""
    world: World = make(monkeypatch, model())
    world.answer([{**row, "job": "astronaut"} if place == 3 else row for place, row in enumerate(people(20, seed=1))])
    world.answer(people(20, seed=2), request="other")
    found = Versions()
    for key in world.data.keys("captures/"):
        found.put_object("data", key, world.data.read(key))
        found.put_object("data", key, world.data.read(key))
    lines = [json.dumps({"request_id": name, "row": 3, "label": "yes"}) for name in ("r", "other")]
    found.put_object("data", "labels/loans/day=2026-03-02/a.jsonl", ("\n".join(lines) + "\n").encode())
    found.put_object("data", "labels/loans/mine.csv", b"request_id,row,label\nr,3,no\nother,1,yes\n")
    return found


def rows(s3: Versions) -> int:
    total = 0
    for key, _, body in s3.stored:
        if key.endswith(".parquet"):
            total += len(table(body))
    return total


def test_a_persons_requests_are_removed_from_every_version(s3: Versions) -> None:
    assert s3.search("'r'")
    found = forget(Store(s3, "data"), "loans", Person("id", "7", frozenset({"r"})), [])
    assert (found.captures, found.labels, found.left) == (40, 2, 0)
    assert found.versions == 4
    assert s3.search("'r'") == []
    assert [key for key in s3.search('"r"') if key.startswith("labels/")] == []
    # The other request is whole, labels included; the newest of the emptied file is there, without rows.
    assert rows(s3) == 40
    assert b"other,1,yes" in next(body for key, _, body in s3.stored if key.endswith("mine.csv"))
    assert forget(Store(s3, "data"), "loans", Person("id", "7", frozenset({"r"})), []).versions == 0


def test_a_captured_column_may_name_the_person(s3: Versions) -> None:
    found = forget(Store(s3, "data"), "loans", Person("job", "astronaut"), [])
    # One row in two versions, and its label; the other rows of the same request are other people.
    assert (found.captures, found.labels, found.left) == (2, 2, 0)
    assert rows(s3) == 80 - 2 - 19
    assert s3.search("astronaut") == []


def test_what_is_kept_of_it_names_nobody(s3: Versions) -> None:
    found = forget(Store(s3, "data"), "loans", Person("job", "astronaut", frozenset({"r"})), [])
    report = next(body for key, _, body in s3.stored if key.startswith("reports/loans/forget/"))
    assert json.loads(report)["person"] == found.person
    assert b"astronaut" not in report
