"""A person is forgotten in every stored version, and nobody else is."""

import csv
import gzip
import io
import json
import tempfile
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.forget import remains
from cli.forget.finding import Subject, rows_of
from cli.forget.removing import Held, Person, Store, forget
from interlock import keys
from interlock.contract import Column, ColumnType, Contract, Dialect
from interlock.errors import InvalidRequest
from interlock.records import Dataset, LineageMark, ObjectRef, TrainingManifest
from tests.unit.fakes import FakeLedger, FakeState
from tests.unit.monitor.world import World, make, model, people

AT = datetime(2026, 3, 2, 6, tzinfo=UTC)


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
        for key, version, _ in sorted(self.stored):
            if key.startswith(Prefix):
                found = {"Key": key, "VersionId": version, "IsLatest": newest[key] == version, "LastModified": AT}
                yield {"Versions": [found]}

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


def person(column: str, key: str, requests: frozenset[str] = frozenset(), secret: bytes = b"") -> Person:
    return Person(Subject(column, key), requests, secret)


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
    found = forget(Store(s3, "data"), "loans", person("id", "7", frozenset({"r"})), [])
    assert (found.captures, found.labels, found.left) == (40, 2, 0)
    assert found.versions == 4
    assert s3.search("'r'") == []
    assert [key for key in s3.search('"r"') if key.startswith("labels/")] == []
    # The other request is whole, labels included; the newest of the emptied file is there, without rows.
    assert rows(s3) == 40
    assert b"other,1,yes" in next(body for key, _, body in s3.stored if key.endswith("mine.csv"))
    assert forget(Store(s3, "data"), "loans", person("id", "7", frozenset({"r"})), []).versions == 0


def test_a_captured_column_may_name_the_person(s3: Versions) -> None:
    found = forget(Store(s3, "data"), "loans", person("job", "astronaut"), [])
    # One row in two versions, and its label; the other rows of the same request are other people.
    assert (found.captures, found.labels, found.left) == (2, 2, 0)
    assert rows(s3) == 80 - 2 - 19
    assert s3.search("astronaut") == []


def test_what_is_kept_of_it_names_nobody(s3: Versions) -> None:
    found = forget(Store(s3, "data"), "loans", person("job", "astronaut", frozenset({"r"})), [])
    report = next(body for key, _, body in s3.stored if key.startswith("reports/loans/forget/"))
    assert json.loads(report)["person"] == found.person
    assert b"astronaut" not in report


SECRET = b"of this model alone"


def dataset(s3: Versions, claim: str, names: list[str]) -> Dataset:
    """An admitted dataset with a row for each name, and the file that it came as."""
    ref = ObjectRef(bucket="data", key=f"incoming/loans/{claim}.csv", version="v", sha256=claim, size=1)
    s3.put_object("data", ref.key, "\n".join(["id", *names]).encode())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.parquet"
        duckdb.sql(f"SELECT unnest({names}) AS id").write_parquet(str(path))
        s3.put_object("data", keys.dataset("loans", claim, "train.parquet"), path.read_bytes())
    return Dataset(
        id=f"id-{claim}", model="loans", claim=claim, source=ref, train=ref, holdout=ref, profile=ref, report=ref,
        rows=1, train_rows=1, holdout_rows=1, bad_rows=0, contract_version="1", contract_sha256="c", admitted_at=AT,
    )  # fmt: skip


def trained(s3: Versions, run: str, datasets: list[str]) -> None:
    ref = ObjectRef(bucket="data", key="k", version="v", sha256="0", size=1)
    manifest = TrainingManifest(
        id="m", model="loans", run=run, datasets=tuple(datasets), sources=(), settings=ref, train=ref,
        holdout_features=ref, holdout=ref, reference=ref, train_rows=1, holdout_rows=1, contract_version="1",
        contract_sha256="c", spec_sha256="s",
    )  # fmt: skip
    s3.put_object("data", keys.training("loans", run, "manifest.json"), manifest.to_json().encode())


def test_what_still_holds_the_person_is_listed_marked_and_in_the_ledger(s3: Versions) -> None:
    with_them, without = dataset(s3, "aa", ["eve", "bob"]), dataset(s3, "bb", ["bob"])
    trained(s3, "run-1", [with_them.id, without.id])
    trained(s3, "run-2", [without.id])
    eve, state, ledger = person("id", "eve", frozenset({"r"}), SECRET), FakeState(), FakeLedger()
    remains.begin(ledger, "loans", eve.alias, "arn:someone", AT)
    found = forget(Store(s3, "data"), "loans", eve, [with_them, without])
    remains.conclude(state, ledger, found, "arn:someone", AT)
    assert (found.datasets, found.models) == (("id-aa",), ("run-1",))
    assert [item.key for item in found.held] == ["incoming/loans/aa.csv", "datasets/loans/aa/train.parquet"]
    held = {(mark.kind, mark.subject, mark.person) for mark in state.query(LineageMark, "model#loans", "forgotten#")}
    assert held == {("dataset", "id-aa", eve.alias), ("run", "run-1", eve.alias)}
    assert ledger.actions("loans") == ["forgetting begun", "person forgotten"]
    told = ledger.chains["loans"][-1].decision
    assert (told.actor, told.evidence["captures"], told.evidence["left"]) == ("arn:someone", 40, 0)
    # The key is nowhere in what is kept, and who has the ledger cannot try all keys: the hash needs the secret.
    kept = "".join(entry.to_json() for entry in ledger.chains["loans"])
    kept += "".join(item.document for item in state.items.values())
    assert "eve" not in kept
    assert eve.alias != person("id", "eve").alias


def test_the_secret_is_made_once_and_is_the_models_own() -> None:
    state = FakeState()
    first = remains.secret(state, "loans")
    assert len(first) == 32
    assert remains.secret(state, "loans") == first
    assert remains.secret(state, "other") != first


def test_a_command_that_dies_leaves_a_trace_and_is_given_again(s3: Versions, monkeypatch: pytest.MonkeyPatch) -> None:
    seven, ledger = person("id", "7", frozenset({"r"}), SECRET), FakeLedger()
    remains.begin(ledger, "loans", seven.alias, "arn:someone", AT)
    removed = []

    def dies(Bucket: str, Key: str, VersionId: str) -> None:  # noqa: N803
        if removed:
            raise RuntimeError("killed")
        removed.append(Key)
        Versions.delete_object(s3, Bucket, Key, VersionId)

    with monkeypatch.context() as context:
        context.setattr(s3, "delete_object", dies)
        with pytest.raises(RuntimeError):
            forget(Store(s3, "data"), "loans", seven, [])
    assert ledger.actions("loans") == ["forgetting begun"]
    found = forget(Store(s3, "data"), "loans", seven, [])
    assert found.left == 0
    assert s3.search("'r'") == []


class Account:
    """Boto3's clients of an account, as far as ends are asked for."""

    stack = "interlock-test"
    outputs = {"DataBucket": "data", "StateTable": "state", "LedgerTable": "ledger"}

    def __init__(self, **days: int) -> None:
        self.days = days

    def client(self, _service: str) -> "Account":
        return self

    def describe_log_groups(self, logGroupNamePrefix: str) -> dict[str, Any]:  # noqa: N803
        assert logGroupNamePrefix == "/aws/lambda/interlock-test-serve"
        return {"logGroups": [{"retentionInDays": self.days["logs"]} if self.days["logs"] else {}]}

    def get_bucket_lifecycle_configuration(self, Bucket: str) -> dict[str, Any]:  # noqa: N803
        rule = {"Status": "Enabled", "NoncurrentVersionExpiration": {"NoncurrentDays": self.days["versions"]}}
        work = {"Status": "Enabled", "Filter": {"Prefix": "scoring/"}, "Expiration": {"Days": 14}}
        return {"Rules": [rule, work, {"Status": "Disabled", "Prefix": "score/", "Expiration": {"Days": 1}}]}

    def describe_continuous_backups(self, TableName: str) -> dict[str, Any]:  # noqa: N803
        status = {"PointInTimeRecoveryStatus": "ENABLED"} if self.days["backups"] else {}
        return {"ContinuousBackupsDescription": {"PointInTimeRecoveryDescription": status}}


def test_when_logs_and_backups_end() -> None:
    found = remains.ends(Account(logs=30, versions=20, backups=1), date(2026, 3, 2))  # type: ignore[arg-type]
    assert (found.logs, found.versions, found.backups) == (date(2026, 4, 1), date(2026, 3, 22), date(2026, 4, 6))
    piece = Held(key="scoring/loans/aa/part-00000-rows", versions=1, rows=1, newest=True, written=AT)
    assert found.of(piece) == date(2026, 3, 2 + 14) + timedelta(days=20)
    assert found.of(piece.model_copy(update={"newest": False})) == found.versions
    assert found.of(piece.model_copy(update={"key": "score/loans/aa.csv"})) is None, "until somebody removes it"
    never = remains.ends(Account(logs=0, versions=0, backups=0), date(2026, 3, 2))  # type: ignore[arg-type]
    assert (never.logs, never.versions, never.backups, never.of(piece)) == (None, None, None, None)


def test_a_contract_without_a_mark_wants_the_column_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remains, "models_folder", lambda: tmp_path)
    (tmp_path / "loans").mkdir()
    column = {"name": "who", "logicalType": "string"}
    document = {
        "apiVersion": "v3.1.0", "kind": "DataContract", "id": "c", "version": "1", "status": "active",
        "schema": [{"name": "t", "properties": [column]}],
    }  # fmt: skip
    (tmp_path / "loans" / "contract.yaml").write_text(json.dumps(document))
    with pytest.raises(InvalidRequest, match="does not say which column names a person"):
        remains.subject("loans", "7", None)
    column["customProperties"] = [{"property": "subjectKey", "value": True}]  # type: ignore[assignment]
    (tmp_path / "loans" / "contract.yaml").write_text(json.dumps(document))
    assert remains.subject("loans", "7", None) == Subject("who", "7", ("who",), 0)
    assert remains.subject("elsewhere", "7", "who") == Subject("who", "7")


def test_every_file_that_holds_them_is_listed_and_no_other(s3: Versions) -> None:
    """What came, what was made of it, and what was replaced or deleted meanwhile."""
    table = b"id,age\n7,40\n8,41\n7,42\n"
    s3.put_object("data", "incoming/loans/a.csv", table)
    s3.put_object("data", "incoming/loans/a.csv", b"id,age\n8,41\n")
    s3.put_object("data", "incoming/others/a.csv", table)
    s3.put_object("data", "score/loans/b.csv.gz", gzip.compress(b"age;id\n7;70\n7;7.0\n"))
    s3.put_object("data", "score/loans/nobody.csv", b"id,age\n8,7\n77,7\n")
    s3.put_object("data", "parts/loans/set/c.jsonl", b'{"id": 7}\n{"id": 8, "age": 7}\n{"id": "7"}\n')
    s3.put_object("data", "predictions/loans/cc/predictions.csv", b"row,line,id,label,error\n7,8,9,yes,\n8,9,7,no,\n")
    s3.put_object("data", "quarantine/loans/cc/bad.csv", b'row,reasons,id,age\n1,"type",7,old\n2,"cut off",7\n')
    violations = b"row,line,column,rule,severity,value\r\n7,8,age,type,error,old\r\n1,2,id,unique,error,7\r\n"
    s3.put_object("data", "quarantine/loans/cc/violations.csv", violations)
    s3.put_object("data", "training/loans/run/settings.json", b"7")
    s3.put_object("data", "sets/loans/cc/part-00000-keys-0", b"7")
    s3.put_object("data", "incoming/loans/broken.csv.gz", gzip.compress(table)[:20])
    found = forget(Store(s3, "data"), "loans", person("id", "7"), [])
    assert {(item.key, item.versions, item.rows, item.newest) for item in found.held} == {
        ("incoming/loans/a.csv", 1, 2, False),
        ("score/loans/b.csv.gz", 1, 1, True),
        ("parts/loans/set/c.jsonl", 1, 2, True),
        ("predictions/loans/cc/predictions.csv", 1, 1, True),
        ("quarantine/loans/cc/bad.csv", 1, 1, True),
        ("quarantine/loans/cc/violations.csv", 1, 1, True),
        ("incoming/loans/broken.csv.gz", 1, None, True),
    }
    assert found.searched == 9


def test_a_person_is_found_as_the_contract_writes_its_files(tmp_path: Path) -> None:
    columns = (
        Column(name="id", type=ColumnType.INTEGER, physical_name="Nr."),
        Column(name="who", type=ColumnType.STRING),
    )
    dialect = Dialect(delimiter=";", quote="'", encoding="utf-16", header=False)
    subject = Subject.of(Contract(id="c", version="1", columns=columns, dialect=dialect), "who", "Zoë; 7")
    path = tmp_path / "file"
    path.write_bytes("1;'Zoë; 7'\n2;Zoë\nZoë; 7\n".encode("utf-16"))
    assert rows_of(subject, path, tmp_path, uploaded=True) == 1
    named = Subject.of(Contract(id="c", version="1", columns=columns), "id", "7")
    path.write_text('nr.,x\n7,a\n8,7\n"7",b\n')
    assert rows_of(named, path, tmp_path, uploaded=True) == 2
    duckdb.sql("SELECT * FROM (VALUES (7.0, 'a'), (8, '7')) AS t(\"Nr.\", id_)").write_parquet(str(path))
    assert rows_of(named, path, tmp_path, uploaded=True) == 2
    path.write_bytes(gzip.compress(path.read_bytes()))
    assert rows_of(named, path, tmp_path, uploaded=True) == 2


@given(
    st.lists(st.tuples(st.text(st.characters(codec="utf-8", exclude_characters="\x00")), st.booleans()), max_size=20),
    st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1).map(str.strip).filter(bool),
)
def test_whatever_the_values_each_row_of_theirs_counts(values: list[tuple[str, bool]], key: str) -> None:
    subject = Subject("id", key)
    rows = [(key if theirs else value, value) for value, theirs in values]
    wanted = sum(subject.is_key(name) for name, _ in rows)
    assert wanted >= sum(theirs for _, theirs in values)
    written = io.StringIO(newline="")
    writer = csv.writer(written)
    writer.writerows([("id", "note"), *rows])
    lines = "".join(json.dumps({"id": name, "note": note}) + "\n" for name, note in rows)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        for body in (written.getvalue(), lines):
            path.write_bytes(body.encode())
            assert rows_of(subject, path, Path(folder), uploaded=False) == wanted


def test_a_number_that_was_captured_as_one_is_found(s3: Versions) -> None:
    key = next(key for key, _, _ in s3.stored if key.startswith("captures/"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "captures.parquet"
        duckdb.sql("SELECT 'q' AS request_id, 0 AS row, 7::DOUBLE AS in_id").write_parquet(str(path))
        s3.put_object("data", key.replace("captures/model", "captures/failed/model"), path.read_bytes())
    assert forget(Store(s3, "data"), "loans", person("id", "7"), []).captures == 1
