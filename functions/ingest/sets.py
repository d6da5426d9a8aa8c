"""A set of files that are judged one by one and admitted together: its manifest, and what its steps hand on.

**The manifest**, `incoming/<model>/<name>.manifest.json`, is the one that Redshift's UNLOAD writes and COPY reads, with
two more entries that may be left out:

    {"entries": [{"url": "s3://<data bucket>/parts/<model>/<set>/<file>", "version": "…", "sha256": "…"}, …]}

The order of the entries is the order of the rows. Whatever else an entry holds (`mandatory`, `meta`) is not looked at:
every file is mandatory. Without a version the newest is taken, once, before any file is judged.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ingest.findings import Finding, Problem
from interlock.aws.maps import map_answers
from interlock.aws.objects import Objects
from interlock.errors import InvalidUpload
from interlock.keys import PARTS
from interlock.records import ObjectRef
from interlock.schema import Model
from interlock.stats.profile import Profile

# A distributed map's own limit is far beyond; a list of 10,000 files is 3 MB.
MOST_FILES = 10_000
_AT_ONCE = 10
_SHOWN = 5
_REMEDY = (
    "Correct the manifest or upload what is missing, then upload the manifest again; `interlock upload` writes it."
)


class Entry(BaseModel):
    """A file as the manifest names it."""

    model_config = ConfigDict(extra="ignore")

    url: str
    version: str | None = None
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")


class Manifest(BaseModel):
    """What was uploaded as a set."""

    model_config = ConfigDict(extra="ignore")

    entries: list[Entry] = Field(min_length=1, max_length=MOST_FILES)


class Part(Model):
    """One file of a set, by its place in the manifest.

    `sha256` is what the manifest says it is; `repeated` a list of rows whose keys are in an earlier file.
    """

    index: int
    key: str
    version: str
    sha256: str | None = None
    repeated: ObjectRef | None = None

    @property
    def name(self) -> str:
        """Its name for people."""
        return self.key.removeprefix(PARTS).split("/", 1)[-1]


class JudgedPart(Model):
    """What was found in one file of a set; `counts` and `keys` are the engine's, by rule."""

    schema_version: Literal[1] = 1
    part: Part
    source: ObjectRef
    kind: str
    rows: int
    bad_rows: int
    train_rows: int
    holdout_rows: int
    problems: tuple[Problem, ...]
    findings: tuple[Finding, ...]
    counts: dict[str, int]
    profile: Profile | None
    files: dict[str, ObjectRef]
    keys: dict[str, ObjectRef]


class Repeated(Model):
    """Rows of one file, by rule, whose keys are in an earlier file of the set."""

    rows: dict[str, tuple[int, ...]]


def parts(text: bytes, key: str, model: str, data: Objects) -> list[Part]:
    """The files that a manifest names, each with the version that is judged.

    Raises:
        InvalidUpload: the manifest is none, names what does not lie under `parts/<model>/`, or what does not exist.
    """
    try:
        entries = Manifest.model_validate_json(text).entries
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the whole text"
        raise InvalidUpload(f"{key} is no manifest of a set: {where}: {first['msg']}", remedy=_REMEDY) from None
    root = f"s3://{data.bucket}/{PARTS}{model}/"
    if wrong := [entry.url for entry in entries if not entry.url.startswith(root) or entry.url == root]:
        raise InvalidUpload(f"{key} names files that do not lie under {root}: {_some(wrong)}", remedy=_REMEDY)
    urls = [entry.url for entry in entries]
    if len(set(urls)) < len(urls):
        twice = sorted({url for url in urls if urls.count(url) > 1})
        raise InvalidUpload(f"{key} names files twice: {_some(twice)}", remedy=_REMEDY)

    def found(entry: Entry) -> str | None:
        try:
            return data.arrival(entry.url.removeprefix(f"s3://{data.bucket}/"), entry.version).version
        except InvalidUpload:
            return None

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        versions = list(pool.map(found, entries))
    if missing := [entry.url for entry, version in zip(entries, versions, strict=True) if version is None]:
        raise InvalidUpload(f"{key} names files that do not exist: {_some(missing)}", remedy=_REMEDY)
    return [
        Part(index=index, key=entry.url.removeprefix(f"s3://{data.bucket}/"), version=version, sha256=entry.sha256)
        for index, (entry, version) in enumerate(zip(entries, versions, strict=True))
        if version is not None
    ]


def as_items(listed: Iterable[Part]) -> bytes:
    """What a distributed map reads: an array of parts."""
    return json.dumps([part.model_dump(mode="json") for part in listed]).encode()


def judged(data: Objects, results: Iterable[dict[str, Any]]) -> list[JudgedPart]:
    """What a distributed map's runs answered, by the manifests of its results; of one file the later run counts.

    Args:
        data: the bucket.
        results: of each map in their order, what Step Functions says about where they lie (`ResultWriterDetails`).
    """
    newest: dict[int, ObjectRef] = {}
    for result in filter(None, results):
        for answer in map_answers(data, result):
            newest[answer["index"]] = ObjectRef.model_validate(answer["document"])
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return [JudgedPart.from_json(body) for body in pool.map(data.get, (newest[index] for index in sorted(newest)))]


def _some(urls: list[str]) -> str:
    return ", ".join(urls[:_SHOWN]) + (f" and {len(urls) - _SHOWN} more" if len(urls) > _SHOWN else "")
