"""An object comes whole and in order through ranges, over a connection that breaks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest

from interlock.aws import ranges
from interlock.aws.objects import Objects
from interlock.errors import DependencyUnavailable, InvalidUpload
from tests.door import Door
from tests.unit.s3 import answered_by

BODY = bytes(range(256)) * 5000


class Store(Door):
    """S3's GET and HEAD of one object; breaks off the first answers to each range as often as `breaks` says."""

    breaks = 0
    asked: list[str] = []

    def answer(self) -> None:
        if self.command == "GET":
            self._range()
            return
        told = {"last-modified": "Wed, 25 Nov 2026 20:00:00 GMT", "x-amz-version-id": "v1"}
        self.say(200 if "/there" in self.path else 404, BODY, told)

    def _range(self) -> None:
        wanted = self.headers["Range"]
        first, last = map(int, wanted.removeprefix("bytes=").split("-"))
        part = BODY[first : last + 1]
        whole = {"content-length": str(len(part))}
        if self.asked.count(wanted) < self.breaks:
            part = part[: len(part) // 2]
            self.close_connection = True
        self.asked.append(wanted)
        self.say(206, part, whole)


@pytest.fixture
def objects(monkeypatch: pytest.MonkeyPatch) -> Iterator[Objects]:
    monkeypatch.setattr(ranges, "_RANGE", 100_000)
    monkeypatch.setattr(Store, "asked", [])
    with answered_by(Store, monkeypatch) as made:
        yield made


@pytest.mark.parametrize("breaks", [0, 2])
def test_the_bytes_come_whole_and_in_order(objects: Objects, monkeypatch: pytest.MonkeyPatch, breaks: int) -> None:
    monkeypatch.setattr(Store, "breaks", breaks)
    with objects.reader("there", "v1") as reader:
        found = b"".join(iter(lambda: reader.read(77_777), b""))
        ref = reader.ref()
    assert found == BODY
    assert (ref.size, ref.sha256) == (len(BODY), hashlib.sha256(BODY).hexdigest())
    assert len(Store.asked) == 13 * (breaks + 1)


def test_what_nobody_read_is_hashed_too(objects: Objects) -> None:
    with objects.reader("there", "v1") as reader:
        assert reader.read(10) == BODY[:10]
        assert reader.ref().sha256 == hashlib.sha256(BODY).hexdigest()


def test_no_more_is_read_ahead_than_a_few_ranges(objects: Objects) -> None:
    with objects.reader("there", "v1") as reader:
        reader.read(1)
    assert len(Store.asked) <= 3


def test_a_connection_that_breaks_for_good_and_an_object_that_is_gone(
    objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Store, "breaks", 99)
    with objects.reader("there", "v1") as reader, pytest.raises(DependencyUnavailable):
        reader.read(1)
    with pytest.raises(InvalidUpload, match="is gone"):
        objects.reader("nowhere", "v1")
