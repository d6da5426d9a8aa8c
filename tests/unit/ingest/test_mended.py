"""Bad rows that were mended and sent again: linked to the first upload, in every record."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cli.quarantine.mending import upload_of
from interlock.contract import Dialect
from interlock.errors import InvalidUpload
from interlock.keys import upload
from interlock.records import Claim, ClaimStatus, Dataset, Origin
from tests.unit.ingest.made import INTEGER, NUMBER, column, model
from tests.unit.ingest.world import World

HEADER = b"n,s,y\n"
FIRST = HEADER + b"".join(b"%d,a,1\n" % i for i in range(50)) + b"x,b,1\ny,c,1\nz,d,1\n"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch, model(column("n", INTEGER), column("s"), max_bad_row_share=0.1, min_rows=20))


def mended(world: World, body: bytes, origin: str, name: str = "mended.csv") -> dict[str, Any]:
    event = world.upload(body, f"incoming/small/{name}")
    place = event["key"], event["version"]
    world.objects.arrivals[place] = replace(world.objects.arrivals[place], metadata={"interlock-origin": origin})
    return event


def claim(event: dict[str, Any]) -> str:
    return upload(**event).claim


def test_mended_rows_are_a_dataset_that_names_the_first_upload(world: World) -> None:
    first = world.upload(FIRST)
    world.run(first)
    event = mended(world, HEADER + b"1,b,1\n2,c,1\n", claim(first))
    answer = world.run(event, "e2")
    origin = Origin(claim=claim(first), key=first["key"], admitted=True)
    dataset = world.datasets_of(claim(event))
    assert dataset.id == answer["dataset"]
    assert dataset.origin == world.claim(claim(event)).origin == origin
    assert dataset.rows == 2, "fewer rows than a file must have: these are part of one that had enough"
    entry = list(world.ledger.entries("small"))[-1]
    assert entry.decision.evidence["mended_from"] == claim(first)
    report = json.loads(world.objects.read(f"reports/small/ingest/{claim(event)}/report.json"))
    assert report["origin"]["claim"] == claim(first)
    page = world.objects.read(f"reports/small/ingest/{claim(event)}/report.html").decode()
    assert "Mended rows of <bdi>people.csv</bdi>" in page


def test_a_row_that_still_is_bad_comes_back_and_the_others_do_not_wait_for_it(world: World) -> None:
    first = world.upload(FIRST)
    world.run(first)
    event = mended(world, HEADER + b"1,b,1\nstill,c,1\n", claim(first))
    world.run(event, "e2")
    assert world.datasets_of(claim(event)).rows == 1
    kept = world.objects.read(f"quarantine/small/{claim(event)}/bad-rows.csv")
    assert b"still,c,1" in kept
    page = world.objects.read(f"reports/small/ingest/{claim(event)}/report.html").decode()
    assert "mended rows are judged one by one" in page
    # And once more, linked to the second.
    third = mended(world, HEADER + b"7,c,1\n", claim(event), "again.csv")
    world.run(third, "e3")
    assert world.datasets_of(claim(third)).origin == Origin(claim=claim(event), key=event["key"], admitted=True)


def sent_again(world: World, first: str, path: Path, wrong: bytes, right: bytes) -> dict[str, Any]:
    """The report's columns, by name, after the one bad row of an upload was mended and admitted."""
    path.write_bytes(world.objects.read(f"quarantine/small/{first}/bad-rows.csv").replace(wrong, right))
    event = mended(world, upload_of(path)[0], first)
    world.run(event, "e2")
    dataset = world.datasets_of(claim(event))
    assert (dataset.rows, dataset.bad_rows) == (1, 0)
    report = json.loads(world.objects.read(f"reports/small/ingest/{claim(event)}/report.json"))
    return {item["name"]: item for item in report["columns"]}


def test_mended_rows_are_read_as_the_quarantine_writes_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever the contract says of its files: the file to mend has a header and is UTF-8."""
    dialect = Dialect(delimiter=";", encoding="latin-1", header=False)
    world = World(monkeypatch, model(column("n", INTEGER), column("s"), dialect=dialect, max_bad_row_share=0.5))
    first = world.upload(("1;gut;1\n" * 5 + "x;größe;1\n").encode("latin-1"))
    world.run(first)
    found = sent_again(world, claim(first), tmp_path / "mended", b";x;", b";7;")
    assert found["s"]["bars"][0]["label"] == "größe"


def test_mended_rows_of_parquet_have_points_whatever_the_contract_says_of_csv(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    dialect = Dialect(decimal=",", thousands=".", quote="'")
    by = model(column("n", INTEGER), column("s"), column("x", NUMBER), dialect=dialect, max_bad_row_share=0.5)
    world = World(monkeypatch, by)
    with duckdb.connect() as con:
        rows = "SELECT if(range = 5, 'bad', '1') AS n, 'it''s, ' || range AS s, 1.125 AS x, 1.5 AS y FROM range(6)"
        con.execute(f"COPY ({rows}) TO '{tmp_path / 'x.parquet'}' (FORMAT parquet)")
    first = world.upload((tmp_path / "x.parquet").read_bytes())
    world.run(first)
    found = sent_again(world, claim(first), tmp_path / "mended", b'"bad"', b'"7"')
    assert found["x"]["summary"] == "always 1.125"


def test_rows_that_are_all_still_bad_are_rejected(world: World) -> None:
    first = world.upload(FIRST)
    world.run(first)
    event = mended(world, HEADER + b"x,b,1\n", claim(first))
    world.run(event, "e2")
    assert world.claim(claim(event)).status is ClaimStatus.REJECTED
    assert world.claim(claim(event)).origin is not None
    entry = list(world.ledger.entries("small"))[-1]
    assert (entry.decision.action, entry.decision.evidence["mended_from"]) == ("dataset rejected", claim(first))


def test_the_mended_file_of_a_rejected_upload_is_judged_as_a_whole(world: World) -> None:
    first = world.upload(HEADER + b"x,b,1\n" * 30)
    world.run(first)
    event = mended(world, HEADER + b"1,b,1\n" * 3, claim(first))
    world.run(event, "e2")
    assert world.claim(claim(event)).status is ClaimStatus.REJECTED
    report = json.loads(world.objects.read(f"reports/small/ingest/{claim(event)}/report.json"))
    assert report["origin"]["admitted"] is False
    assert [problem["rule"] for problem in report["problems"]] == ["row_count"]


def test_the_same_mended_rows_twice_are_one_dataset(world: World) -> None:
    first = world.upload(FIRST)
    world.run(first)
    for number, name in enumerate(("mended.csv", "mended again.csv"), start=2):
        world.run(mended(world, HEADER + b"1,b,1\n", claim(first), name), f"e{number}")
    assert len(world.datasets) == 2


@pytest.mark.parametrize("said", ["0123456789abcdef", "nonsense", "../..", "claim#x"])
def test_an_origin_that_never_was_is_refused(world: World, said: str) -> None:
    event = mended(world, FIRST, said)
    with pytest.raises(InvalidUpload, match="no upload of small has that claim"):
        world.run(event)
    assert not world.datasets
    assert len(world.alerts.sent) == 1


def test_records_from_before_are_still_read(world: World) -> None:
    event = world.upload(FIRST)
    world.run(event)
    for record in (world.datasets[0], world.claim(claim(event))):
        old = json.loads(record.to_json())
        old.pop("origin")
        again = type(record).from_json(json.dumps(old))
        assert isinstance(again, Dataset | Claim)
        assert again.origin is None


def test_the_last_dataset_stands_beside_the_next(world: World) -> None:
    world.run(world.upload(FIRST, "incoming/small/first.csv"))
    event = world.upload(HEADER + b"".join(b"%d,%s,1\n" % (i, b"new" if i % 2 else b"a") for i in range(100)))
    world.run(event, "e2")
    report = json.loads(world.objects.read(f"reports/small/ingest/{claim(event)}/report.json"))
    assert (report["previous"]["file"], report["previous"]["rows"]) == ("first.csv", 50)
    (column_s,) = (item for item in report["columns"] if item["name"] == "s")
    assert (column_s["new_share"], column_s["new_values"], column_s["changed"]) == (0.5, ["new"], True)
    page = world.objects.read(f"reports/small/ingest/{claim(event)}/report.html").decode()
    for said in ("first.csv", "50.0% of the values are new", "Changed more than by chance"):
        assert said in page
