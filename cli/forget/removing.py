"""Removes a person from captures and labels, in every stored version, and says in which files they still are.

Captures and labels are Interlock's own, a row each. The other files came as a whole, or answer one that did: their
bytes are what a record's sha256 says, and other people's rows are in them. They are searched and listed.
"""

from __future__ import annotations

import csv
import hmac
import io
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, groupby
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from cli.forget.finding import Subject, rows_of
from interlock import keys
from interlock.errors import InvalidUpload
from interlock.records import Dataset, TrainingManifest
from interlock.schema import Model
from interlock.sql import text

# A row of a request.
Answer = tuple[str, int]
# Of a file's key and bytes: how many rows are the person's, and the file without them; it learns of their answers.
Without = Callable[[str, bytes, "Person", set[Answer], Path], tuple[int, bytes]]
# Folders of files that came from outside, and of those that were made of them.
_UPLOADED = ("incoming", "parts", "score")
_MADE = ("sets", "datasets", "training", "quarantine", "scoring", "predictions")
# What lies in the latter without being a table: documents, scripts, and the keys of a set, which are hashes.
_NO_TABLE = re.compile(r"\.json$|\.py$|/(again-)?part-\d+-keys-\d+$")


@dataclass(frozen=True)
class Person:
    """Whom to forget: whose rows are the subject's, and the answers to these requests; `secret` hides who they are."""

    subject: Subject
    requests: frozenset[str] = frozenset()
    secret: bytes = b""

    @property
    def alias(self) -> str:
        """What stands for them in what is kept: a keyed hash, so that nobody finds it by trying all keys."""
        named = f"{self.subject.column}\x1f{self.subject.key}"
        return hmac.new(self.secret, named.encode(), "sha256").hexdigest()[:16]


class Stored(NamedTuple):
    """A version of an object."""

    key: str
    version: str
    newest: bool
    written: datetime


class Held(Model):
    """A file that still holds the person: in how many versions, and how many rows at most.

    `newest` says whether the newest version is one of them, or only some that have been replaced or deleted; `written`
    is the time of the last of them. `rows` is None where the file is no table that is read: look yourself.
    """

    key: str
    versions: int
    rows: int | None
    newest: bool
    written: datetime


class Forgotten(Model):
    """What was removed and what remains. `left` is what a second search found in captures and labels: nothing.

    `datasets` and `models` (which are runs) are marked; `held` are the files, those of the datasets among them.
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
    held: tuple[Held, ...]
    searched: int


class Store:
    """The data bucket with all its versions."""

    def __init__(self, s3: Any, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def versions(self, prefix: str) -> Iterator[Stored]:
        """Everything under a prefix, the versions of a key one after the other."""
        pages = self._s3.get_paginator("list_object_versions").paginate(Bucket=self._bucket, Prefix=prefix)
        for page in pages:
            for item in page.get("Versions", []):
                yield Stored(item["Key"], item["VersionId"], item["IsLatest"], item["LastModified"])

    def read(self, key: str, version: str) -> bytes:
        """The bytes of a version."""
        body: bytes = self._s3.get_object(Bucket=self._bucket, Key=key, VersionId=version)["Body"].read()
        return body

    def fetch(self, found: Stored, path: Path) -> Path:
        """A version as a file."""
        body = self._s3.get_object(Bucket=self._bucket, Key=found.key, VersionId=found.version)["Body"]
        with path.open("wb") as file:
            shutil.copyfileobj(body, file)
        return path

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
        counts, versions = [0, 0], 0
        for place, (found, without) in enumerate(_own(store, model)):
            for key, version, newest, _ in found:
                rows, rest = without(key, store.read(key, version), person, answers, folder)
                if rows:
                    counts[place] += rows
                    versions += 1
                    _replace(store, key, version, rest if newest else None)
        held, searched = _held(store, model, person.subject, folder)
        claims = {item.key.split("/")[2] for item in held if item.key.startswith("datasets/") and item.rows}
        holding = tuple(sorted(item.id for item in datasets if item.claim in claims))
        forgotten = Forgotten(
            model=model,
            person=person.alias,
            captures=counts[0],
            labels=counts[1],
            versions=versions,
            left=_left(store, model, person, answers, folder),
            datasets=holding,
            models=_trained_on(store, model, set(holding)),
            held=held,
            searched=searched,
        )
    store.write(keys.report(model, "forget", person.alias, "report.json"), forgotten.to_json().encode())
    return forgotten


def _own(store: Store, model: str) -> Iterator[tuple[Iterator[Stored], Without]]:
    """Captures, and labels, which are known by them; each with how a person's rows are taken out."""
    yield chain.from_iterable(map(store.versions, keys.capture_files(model))), _uncaptured
    yield store.versions(keys.label_files(model)), _unlabelled


def _replace(store: Store, key: str, version: str, rest: bytes | None) -> None:
    if rest is not None:
        store.write(key, rest)
    store.remove(key, version)


def _uncaptured(_key: str, body: bytes, person: Person, answers: set[Answer], folder: Path) -> tuple[int, bytes]:
    """How many rows of a Parquet file are the person's, and the file without them; `answers` learns which they are."""
    path, rest = folder / "rows.parquet", folder / "rest.parquet"
    path.write_bytes(body)
    with duckdb.connect() as con:
        source = f"read_parquet({text(str(path))})"
        there = {name for name, *_ in con.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()}  # noqa: S608
        row = "CAST(row AS INTEGER)" if "row" in there else "0"
        theirs = [f"request_id = {text(each)}" for each in sorted(person.requests)]
        theirs += [f"(request_id = {text(name)} AND {row} = {place})" for name, place in sorted(answers)]
        if (column := f"in_{person.subject.column}") in there:
            theirs.append(person.subject.condition(column))
        condition = f"coalesce({' OR '.join(theirs) or 'false'}, false)"
        mine = con.execute(f"SELECT request_id, {row} FROM {source} WHERE {condition}").fetchall()  # noqa: S608
        if mine:
            con.execute(f"COPY (FROM {source} WHERE NOT {condition}) TO {text(str(rest))} (FORMAT parquet)")
    answers.update(mine)
    return len(mine), rest.read_bytes() if mine else b""


def _unlabelled(key: str, body: bytes, person: Person, answers: set[Answer], folder: Path) -> tuple[int, bytes]:
    """How many labels of a file are for the person's answers, and the file without them."""
    if key.endswith(".parquet"):
        return _uncaptured(key, body, person, answers, folder)

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
    return sum(
        without(key, store.read(key, version), person, answers, folder)[0]
        for found, without in _own(store, model)
        for key, version, *_ in found
    )


def _held(store: Store, model: str, subject: Subject, folder: Path) -> tuple[tuple[Held, ...], int]:
    """The files that hold the person, and in how many versions of how many files that was looked for."""
    held, searched = [], 0
    for name in (*_UPLOADED, *_MADE):
        for key, versions in groupby(store.versions(f"{name}/{model}/"), key=lambda found: found.key):
            if name in _MADE and _NO_TABLE.search(key):
                continue
            every = list(versions)
            rows = [_rows(store, subject, found, folder, uploaded=name in _UPLOADED) for found in every]
            searched += len(every)
            there = [found for found, count in zip(every, rows, strict=True) if count != 0]
            if there:
                known = [count for count in rows if count]
                held.append(
                    Held(
                        key=key,
                        versions=len(there),
                        rows=max(known) if known else None,
                        newest=any(found.newest for found in there),
                        written=max(found.written for found in there),
                    )
                )
    return tuple(held), searched


def _rows(store: Store, subject: Subject, found: Stored, folder: Path, *, uploaded: bool) -> int | None:
    """How many rows of a version are the person's; None where it is no table that is read."""
    try:
        return rows_of(subject, store.fetch(found, folder / "file"), folder, uploaded=uploaded)
    except InvalidUpload:
        return None


def _trained_on(store: Store, model: str, datasets: set[str]) -> tuple[str, ...]:
    """Runs that were trained on any of these datasets."""
    found = set()
    for key, version, *_ in store.versions(f"training/{model}/"):
        if key.endswith("/manifest.json"):
            manifest = TrainingManifest.from_json(store.read(key, version))
            if datasets & set(manifest.datasets):
                found.add(manifest.run)
    return tuple(sorted(found))
