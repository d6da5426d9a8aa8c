"""Uploads that are wrong in every known way: each ends with a clear word in the right place, and nothing is lost."""

from __future__ import annotations

import gzip
import io
import time
from typing import Any

import duckdb
import pytest

from cli import evidence, executions, history, uploads
from cli.target import Target
from interlock.records import Mode

from .conftest import FAILING, HOME, RENT, denied, ended, rent_rows, upload

HEADER = "flat_id;Größe (m²);stadtteil;built;balcony;rent"
GOOD = rent_rows(30, seed=9, header=False)


def parquet() -> bytes:
    source, path = HOME / "good.csv", HOME / "good.parquet"
    source.write_text(f"{HEADER}\n{GOOD}", "utf-8")
    duckdb.connect().execute(f"COPY (FROM read_csv('{source}', delim=';')) TO '{path}' (FORMAT parquet)")
    return path.read_bytes()


CASES: dict[str, tuple[Any, str, str, str]] = {
    # name: (bytes, verdict, problem or rule, a word of the explanation)
    "an empty file": (b"", "reject", "empty", "0 bytes"),
    "a header only": (f"{HEADER}\n".encode(), "reject", "empty", "no rows"),
    "wrong columns": (f"a;b;c\n{GOOD}".encode(), "reject", "missing_column", "flat_id"),
    "one column too many": (f"{HEADER};more\n{GOOD}".encode(), "reject", "unknown_column", "more"),
    "a duplicated header": (f"{HEADER};rent\n{GOOD}".encode(), "reject", "duplicated_column", "rent"),
    "ragged rows": (f"{HEADER}\n{GOOD}X;1;2\n".encode(), "admit", "field_count", "3 fields"),
    "a byte order mark": (b"\xef\xbb\xbf" + f"{HEADER}\n{GOOD}".encode(), "admit", "", ""),
    "Latin-1 bytes": (f"{HEADER}\n{GOOD}".encode() + "L;50;Süd;1950;true;700\n".encode("latin-1"), "admit",
                      "encoding", "UTF-8"),
    "a truncated gzip": (gzip.compress(f"{HEADER}\n{GOOD}".encode())[:-20], "reject", "unreadable", "gzip"),
    "Parquet named .csv": (parquet, "admit", "", ""),
    "too many bad rows": (f"{HEADER}\n{GOOD}".encode() + b"Y;-1;;1950;true;x\n" * 20, "reject", "bad_row_share", "bad"),
    "the same key twice": (f"{HEADER}\n{GOOD}F9-0;50;;1950;true;700\n".encode(), "admit", "primary_key", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_bad_file_is_judged_clearly(target: Target, name: str) -> None:
    body, verdict, rule, word = CASES[name]
    sent, run = upload(target, RENT, body() if callable(body) else body, f"{name}.csv")
    assert run.last == {"admit": "Admitted", "reject": "Rejected"}[verdict], run.message
    report = evidence.document(
        target, evidence.Report(RENT, "ingest", sent.claim, f"reports/{RENT}/ingest/{sent.claim}/report.html", None)
    )
    found = {item["rule"]: str(item) for item in (*report["problems"], *report["findings"])}
    assert rule in found if rule else not found
    assert word in found.get(rule, "")
    # Whatever was said of it, the file is still where it was put.
    kept = target.client("s3").get_object(Bucket=sent.bucket, Key=sent.key, VersionId=sent.version)
    assert kept["ContentLength"] == len(body() if callable(body) else body)


@pytest.mark.parametrize("name", ["with spaces.csv", "a+b&c=d.csv", "größe-测试.csv", "folder/inside.csv"])
def test_keys_are_taken_as_they_were_put(target: Target, name: str) -> None:
    sent, run = upload(target, RENT, rent_rows(30, seed=sum(name.encode())).encode(), name)
    assert run.last == "Admitted"
    assert sent.key.endswith(name)


def test_the_same_bytes_under_another_name_are_linked_and_a_refresh_counts(target: Target) -> None:
    body = rent_rows(40, seed=79).encode()
    first, run = upload(target, FAILING, body, "first.csv")
    assert run.last == "Admitted"
    again, run = upload(target, FAILING, body, "again.csv")
    assert run.last == "Duplicate"
    dataset = evidence.dataset_of(target, FAILING, again.claim)
    assert dataset is not None
    assert dataset.claim == first.claim
    # S3 counts seconds, and of the same one a refresh comes first.
    time.sleep(1.1)
    refresh, run = upload(target, FAILING, rent_rows(40, seed=80).encode(), "refresh/all.csv")
    assert run.last == "Admitted"
    refreshed = evidence.dataset_of(target, FAILING, refresh.claim)
    assert refreshed is not None
    assert refreshed.mode is Mode.REFRESH
    (status,) = (item for item in history.status(target)["models"] if item["model"] == FAILING)
    assert (status["in_training"], status["datasets"] > 1) == (1, True)


def test_an_upload_for_nobody_is_refused_and_told(target: Target) -> None:
    path = HOME / "nobody.csv"
    path.write_bytes(b"a\n1\n")
    sent = uploads.send(target, "no-such-model", path)
    run = ended(target, uploads.run_of(target, sent), "Refused")
    assert any(step.error == "UnknownModel" for step in run.steps)


def test_the_same_event_twice_does_nothing_twice(target: Target) -> None:
    sent, first = upload(target, RENT, rent_rows(40, seed=77).encode(), "twice.csv")
    before = len(evidence.datasets(target, RENT))
    again = ended(target, executions.start(target, "ingest", first.input))
    assert again.last == "AlreadyTaken"
    assert len(evidence.datasets(target, RENT)) == before
    subjects = [entry.decision.key for entry in evidence.ledger(target, RENT)]
    assert subjects.count(f"admitted:{sent.claim}") == 1


def test_a_crash_between_claim_and_work_loses_nothing(target: Target) -> None:
    """The claim stands, the work was never done: its own execution may go on, and a failed one is tried again."""
    body = rent_rows(40, seed=78).encode()
    # The validation crashes: it may not even be called.
    with denied(target, "ingest-validate"):
        sent, run = upload(target, RENT, body, "crash.csv")
        assert run.last == "Failed"
    assert run.status == "FAILED"
    again = ended(target, executions.again(target, run))
    assert again.last == "Admitted"
    assert sum(item.claim == sent.claim for item in evidence.datasets(target, RENT)) == 1


def test_bad_rows_lie_beside_their_reasons(target: Target) -> None:
    body = f"{HEADER}\n{GOOD}".encode() + b'Z;50;"O""st";1950;perhaps;700\n'
    sent, run = upload(target, RENT, body, "one-bad.csv")
    assert run.last == "Admitted"
    key = f"quarantine/{RENT}/{sent.claim}/bad-rows.csv"
    text = target.client("s3").get_object(Bucket=sent.bucket, Key=key)["Body"].read().decode()
    assert 'Z;50;"O""st";1950;perhaps;700' in text
    assert "balcony: type" in text


def test_gzip_and_json_lines_are_read(target: Target) -> None:
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb") as file:
        file.write(f"{HEADER}\n{rent_rows(20, seed=5, header=False)}".encode())
    assert upload(target, RENT, packed.getvalue(), "packed.csv.gz")[1].last == "Admitted"
    lines = "\n".join(
        f'{{"flat_id":"J{number}","Größe (m²)":50.5,"stadtteil":null,"built":1990,"balcony":true,"rent":900}}'
        for number in range(20)
    )
    assert upload(target, RENT, lines.encode(), "lines.jsonl")[1].last == "Admitted"
