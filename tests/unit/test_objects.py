"""What is missing from a bucket is told from what may not be read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.exceptions import ClientError

from interlock.aws.objects import Objects
from interlock.errors import InvalidUpload
from tests.door import Door
from tests.unit.s3 import answered_by


class Bucket(NamedTuple):
    """What lies in it, and what the caller may."""

    keys: set[str]
    listing: bool = True


class Store(Door):
    """S3 as a caller meets it who may list under a prefix: every read is refused, the list alone may say more."""

    bucket = Bucket(set())

    def answer(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        if "list-type" not in query or not self.bucket.listing:
            self.say(403, b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>")
            return
        (prefix,) = query["prefix"]
        found = sorted(key for key in self.bucket.keys if key.startswith(prefix))[: int(query["max-keys"][0])]
        listed = "".join(f"<Contents><Key>{key}</Key></Contents>" for key in found)
        self.say(200, f"<ListBucketResult><KeyCount>{len(found)}</KeyCount>{listed}</ListBucketResult>".encode())


@pytest.fixture
def objects(monkeypatch: pytest.MonkeyPatch) -> Iterator[Objects]:
    with answered_by(Store, monkeypatch) as made:
        yield made


@pytest.mark.parametrize("beside", [set(), {"reports/a/report.json.old", "reports/b"}])
def test_a_refusal_of_what_does_not_exist_is_a_miss(
    objects: Objects, monkeypatch: pytest.MonkeyPatch, beside: set[str]
) -> None:
    monkeypatch.setattr(Store, "bucket", Bucket(beside))
    assert objects.describe("reports/a/report.json") is None
    with pytest.raises(InvalidUpload, match="is gone"):
        objects.raw("reports/a/report.json")
    with pytest.raises(InvalidUpload, match="is gone"):
        objects.arrival("reports/a/report.json", None)


@pytest.mark.parametrize("bucket", [Bucket({"reports/a"}), Bucket(set(), listing=False)])
def test_a_refusal_of_what_exists_or_may_not_be_looked_for_stays_one(
    objects: Objects, monkeypatch: pytest.MonkeyPatch, bucket: Bucket
) -> None:
    monkeypatch.setattr(Store, "bucket", bucket)
    with pytest.raises(ClientError, match="AccessDenied"):
        objects.describe("reports/a")
    with pytest.raises(ClientError, match="AccessDenied"):
        objects.raw("reports/a")
    with pytest.raises(ClientError, match="403"):
        objects.arrival("reports/a", None)


def test_of_a_version_the_list_says_nothing(objects: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Store, "bucket", Bucket(set()))
    with pytest.raises(ClientError, match="AccessDenied"):
        objects.raw("reports/a", "v1")
