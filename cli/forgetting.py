"""Removes a person from captures and labels, in every stored version, and says where they still are."""

from __future__ import annotations

import csv
import hmac
import io
import json
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from interlock import keys
from interlock.records import Dataset, TrainingManifest
from interlock.schema import Model
from interlock.sql import quoted, text

# A row of a request.
Answer = tuple[str, int]
_CLAIM = re.compile(r"^datasets/[^/]+/([^/]+)/")


@dataclass(frozen=True)
class Person:
    """Whom to forget: rows whose `column` is `key`, and answers to these requests; `secret` hides who they are."""

    column: str
    key: str
    requests: frozenset[str] = frozenset()
    secret: bytes = b""

    @property
    def alias(self) -> str:
        """What stands for them in what is kept: a keyed hash, so that nobody finds it by trying all keys."""
        return hmac.new(self.secret, f"{self.column}\x1f{self.key}".encode(), "sha256").hexdigest()[:16]


class Forgotten(Model):
    """What was removed and what remains. `left` is what a second search found in captures and labels: nothing.

    `models` are runs; `uploads` the files as they came, from which `datasets` were made.
    """

    schema_version: int = 1
    model: str
    person: str
    captures: int
    labels: int
    versions: int
    left: int
    datasets: tuple[str, ...]
    models: tuple[str, ...]
    uploads: tuple[str, ...] = ()


class Store:
    """The data bucket with all its versions."""

    def __init__(self, s3: Any, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def versions(self, prefix: str) -> Iterator[tuple[str, str, bool]]:
        """(key, version, whether it is the newest) of everything under a prefix."""
        pages = self._s3.get_paginator("list_object_versions").paginate(Bucket=self._bucket, Prefix=prefix)
        for page in pages:
            for item in page.get("Versions", []):
                yield item["Key"], item["VersionId"], item["IsLatest"]

    def read(self, key: str, version: str) -> bytes:
        """The bytes of a version."""
        body: bytes = self._s3.get_object(Bucket=self._bucket, Key=key, VersionId=version)["Body"].read()
        return body

    def write(self, key: str, body: bytes) -> None:
        """A new version of a key."""
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=body)

    def remove(self, key: str, version: str) -> None:
        """Delete a version for good."""
        self._s3.delete_object(Bucket=self._bucket, Key=key, VersionId=version)


def forget(store: Store, model: str, person: Person, datasets: list[Dataset]) -> Forgotten:
    """Remove a person's captures and labels; the report of it, which names nobody, is kept beside the others.

    What is the newest is first written anew without them, then every version that holds them is deleted: a death in
    between leaves something to find, and the command can be given again.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        answers: set[Answer] = set()
        captured, versions = 0, 0
        for key, version, newest in store.versions(f"captures/model={model}/"):
            rows, rest = _without(store.read(key, version), person, answers, folder)
            if rows:
                captured += rows
                versions += 1
                _replace(store, key, version, rest if newest else None)
        told = 0
        for key, version, newest in store.versions(keys.label_files(model)):
            rows, rest = _unlabelled(key, store.read(key, version), person, answers, folder)
            if rows:
                told += rows
                versions += 1
                _replace(store, key, version, rest if newest else None)
        found = Forgotten(
            model=model,
            person=person.alias,
            captures=captured,
            labels=told,
            versions=versions,
            left=_left(store, model, person, answers, folder),
            datasets=(holding := _holding(store, model, person, datasets, folder)),
            models=_trained_on(store, model, set(holding)),
            uploads=tuple(sorted(item.source.key for item in datasets if item.id in holding)),
        )
    store.write(keys.report(model, "forget", person.alias, "report.json"), found.to_json().encode())
    return found


def _replace(store: Store, key: str, version: str, rest: bytes | None) -> None:
    if rest is not None:
        store.write(key, rest)
    store.remove(key, version)


def _without(body: bytes, person: Person, answers: set[Answer], folder: Path) -> tuple[int, bytes]:
    """How many rows of a Parquet file are the person's, and the file without them; `answers` learns which they are."""
    path, rest = folder / "rows.parquet", folder / "rest.parquet"
    path.write_bytes(body)
    with duckdb.connect() as con:
        source = f"read_parquet({text(str(path))})"
        there = {name for name, *_ in con.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()}  # noqa: S608
        row = "CAST(row AS INTEGER)" if "row" in there else "0"
        theirs = [f"request_id = {text(each)}" for each in sorted(person.requests)]
        theirs += [f"(request_id = {text(name)} AND {row} = {place})" for name, place in sorted(answers)]
        if f"in_{person.column}" in there:
            theirs.append(f"CAST({quoted(f'in_{person.column}')} AS VARCHAR) = {text(person.key)}")
        condition = f"coalesce({' OR '.join(theirs) or 'false'}, false)"
        mine = con.execute(f"SELECT request_id, {row} FROM {source} WHERE {condition}").fetchall()  # noqa: S608
        if mine:
            con.execute(f"COPY (FROM {source} WHERE NOT {condition}) TO {text(str(rest))} (FORMAT parquet)")
    answers.update(mine)
    return len(mine), rest.read_bytes() if mine else b""


def _unlabelled(key: str, body: bytes, person: Person, answers: set[Answer], folder: Path) -> tuple[int, bytes]:
    """How many labels of a file are for the person's answers, and the file without them."""
    if key.endswith(".parquet"):
        return _without(body, person, answers, folder)

    def theirs(request: Any, row: Any) -> bool:
        return request in person.requests or (request, int(row or 0)) in answers

    whole = body.decode("utf-8", "surrogateescape")
    if key.endswith((".jsonl", ".json", ".ndjson")):
        lines = whole.splitlines(keepends=True)
        documents = [_document(line) for line in lines]
        kept = [
            line
            for line, found in zip(lines, documents, strict=True)
            if not theirs(found.get("request_id"), found.get("row"))
        ]
        return len(lines) - len(kept), "".join(kept).encode("utf-8", "surrogateescape")
    table = list(csv.DictReader(io.StringIO(whole)))
    rows = [row for row in table if not theirs(row.get("request_id"), row.get("row"))]
    written = io.StringIO()
    writer = csv.DictWriter(written, list(table[0]) if table else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return len(table) - len(rows), written.getvalue().encode("utf-8", "surrogateescape")


def _document(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _left(store: Store, model: str, person: Person, answers: set[Answer], folder: Path) -> int:
    """A second search, in every version."""
    captured = sum(
        _without(store.read(key, version), person, answers, folder)[0]
        for key, version, _ in store.versions(f"captures/model={model}/")
    )
    return captured + sum(
        _unlabelled(key, store.read(key, version), person, answers, folder)[0]
        for key, version, _ in store.versions(keys.label_files(model))
    )


def _holding(store: Store, model: str, person: Person, datasets: list[Dataset], folder: Path) -> tuple[str, ...]:
    """Ids of the datasets that hold rows of the person."""
    claims, path = set(), folder / "dataset.parquet"
    for key, version, _ in store.versions(f"datasets/{model}/"):
        claim = _CLAIM.match(key)
        if claim is None or claim[1] in claims or not key.endswith(".parquet"):
            continue
        path.write_bytes(store.read(key, version))
        with duckdb.connect() as con:
            source = f"read_parquet({text(str(path))})"
            there = {name for name, *_ in con.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()}  # noqa: S608
            if (
                person.column in there
                and con.execute(
                    f"SELECT 1 FROM {source} WHERE CAST({quoted(person.column)} AS VARCHAR) = ? LIMIT 1",  # noqa: S608
                    [person.key],
                ).fetchall()
            ):
                claims.add(claim[1])
    return tuple(sorted(dataset.id for dataset in datasets if dataset.claim in claims))


def _trained_on(store: Store, model: str, datasets: set[str]) -> tuple[str, ...]:
    """Runs that were trained on any of these datasets."""
    found = set()
    for key, version, _ in store.versions(f"training/{model}/"):
        if key.endswith("/manifest.json"):
            manifest = TrainingManifest.from_json(store.read(key, version))
            if datasets & set(manifest.datasets):
                found.add(manifest.run)
    return tuple(sorted(found))
