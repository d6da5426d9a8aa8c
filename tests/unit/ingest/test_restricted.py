"""Values of restricted columns: planted in every kind of column and of fault, and looked for in everything written.

They may stand in the upload, in the dataset made of it, and in the quarantine's bad rows, which are for mending;
nowhere else: no report, page, profile, list of violations, record, event, alert, log line or error.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import duckdb
import pytest

from interlock.contract import ColumnType
from tests.unit.ingest.made import INTEGER, NUMBER, STRING, column, model
from tests.unit.ingest.world import World

DATE, TIMESTAMP, BOOLEAN = ColumnType.DATE, ColumnType.TIMESTAMP, ColumnType.BOOLEAN
# Good values and bad ones of each column; none of them occurs anywhere by chance.
CANARIES: dict[str, tuple[ColumnType, dict[str, Any], str, list[str]]] = {
    "name": (STRING, {"pattern": "^Canary", "max_length": 12}, "CanaryAlba", ["xCanaryBad", "CanaryFarTooLong"]),
    "code": (STRING, {"allowed": ("CANARYONE", "CANARYTWO")}, "CANARYONE", ["CANARYTHREE", "<b>CANARY</b>"]),
    "size": (INTEGER, {"minimum": 0, "maximum": 987654399}, "987654321", ["-987650001", "987654400", "98765.4329"]),
    "pay": (NUMBER, {"exclusive_minimum": 0}, "76543.2187", ["-76543.2191", "76543,2192", "7654321e400"]),
    "born": (DATE, {"format": "dd.MM.yyyy"}, "17.03.1871", ["1871-03-18", "31.02.1873"]),
    "seen": (TIMESTAMP, {}, "1872-04-19T07:08:09", ["1872-04-20 noon", "1872-13-21T07:08:09"]),
    "ill": (BOOLEAN, {}, "true", ["CanaryPerhaps"]),
}
# How a date or time looks once it has been read, or as the days and seconds of a profile.
READ = ["1871-03-17", "-36084", "1872-04-19", "-3083417511"]
PUBLIC = ["id", *CANARIES, "y"]


def contract(**more: Any) -> Any:
    columns = [
        column(name, kind, restricted=True, required=True, **rules) for name, (kind, rules, *_) in CANARIES.items()
    ]
    return model(column("id", INTEGER, unique=True), *columns, column("y", NUMBER), **more)


def rows() -> list[list[str]]:
    """Good rows, a bad one for each bad value, and one with each value missing."""
    good = [item[2] for item in CANARIES.values()]
    made = [[str(number), *good, "1"] for number in range(30)]
    for place, (_, _, _, wrong) in enumerate(CANARIES.values()):
        for value in (*wrong, ""):
            bad = list(good)
            bad[place] = value
            made.append([str(len(made)), *bad, "1"])
    return made


def planted() -> list[str]:
    """All of them but those that the contract itself names, or everybody does."""
    values = [value for _, _, good, bad in CANARIES.values() for value in (good, *bad)]
    return [*(value for value in values if value not in {"true", "CANARYONE"}), *READ]


def delimited(mark: str) -> bytes:
    lines = [mark.join(PUBLIC)] + [mark.join(f'"{cell}"' if mark in cell else cell for cell in row) for row in rows()]
    # Malformed rows with the values in any place.
    lines += [mark.join(["1", "CanaryAlba", "CANARYONE"]), f'2{mark}"CanaryAlba{mark}CANARYONE']
    return ("\n".join(lines) + "\n").encode() + f"3{mark}CanaryAlba\xe4".encode("latin-1") + b"\n"


def json_lines() -> bytes:
    lines = [json.dumps(dict(zip(PUBLIC, row, strict=True))) for row in rows()]
    return ("\n".join([*lines, '{"name": "CanaryAlba", broken', '["CanaryAlba"]']) + "\n").encode()


def parquet(folder: Path) -> bytes:
    source, path = folder / "rows.json", folder / "rows.parquet"
    source.write_text(json.dumps([dict(zip(PUBLIC, row, strict=True)) for row in rows()]), "utf-8")
    duckdb.connect().execute(
        f"COPY (SELECT * FROM read_json('{source}', columns={{{', '.join(f'{name}: VARCHAR' for name in PUBLIC)}}}))"
        f" TO '{path}' (FORMAT parquet)"
    )
    return path.read_bytes()


def everything(world: World, said: str) -> dict[str, str]:
    """All that was written and told, by where; what may hold the values is left out."""
    found = {
        key: body.decode("utf-8", "replace")
        for (key, _), body in world.objects.versions.items()
        if not key.startswith(("incoming/", "datasets/")) and "/bad-rows." not in key
    }
    found |= {f"state {key}": item.document for key, item in world.state.items.items()}
    found["ledger"] = "".join(entry.to_json() for entry in world.ledger.entries("small"))
    found["events"] = "".join(event.to_json() for event in world.bus.published)
    found["alerts"] = str(world.alerts.sent)
    found["log"] = said
    return found


def unseen(world: World, said: str) -> None:
    for where, text in everything(world, said).items():
        shown = [value for value in planted() if value in text]
        assert not shown, f"{where} shows {shown}"


@pytest.mark.parametrize("kind", ["csv", "semicolons", "jsonl", "parquet"])
@pytest.mark.parametrize("share", [1.0, 0.0])
def test_no_value_leaves_the_quarantine(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    kind: str,
    share: float,
) -> None:
    """Admitted and rejected, and once more, so that a dataset stands beside it."""
    caplog.set_level(logging.DEBUG)
    body = {"csv": lambda: delimited(","), "semicolons": lambda: delimited(";"), "jsonl": json_lines}.get(
        kind, lambda: parquet(tmp_path)
    )()
    world = World(monkeypatch, contract(max_bad_row_share=share))
    # The second has one more row: the same bytes would not be judged beside the first.
    for number in (1, 2):
        more = b"" if kind == "parquet" or number == 1 else body.splitlines(keepends=True)[1]
        world.run(world.upload(body + more, f"incoming/small/{number}.{kind}"), f"e{number}")
    out = capsys.readouterr()
    unseen(world, out.out + out.err + caplog.text)
    kept = "".join(
        content.decode("utf-8", "replace")
        for (key, _), content in world.objects.versions.items()
        if "/bad-rows." in key
    )
    assert all(value in kept for _, _, _, bad in CANARIES.values() for value in bad), "for mending, they are there"
    (report, *_) = (key for key in world.objects.keys("reports/") if key.endswith("report.json"))
    findings = json.loads(world.objects.read(report))
    assert {item["column"] for item in findings["findings"]} >= set(CANARIES), "every column had its fault"


@pytest.mark.parametrize(
    "body",
    [
        b"\n".join(delimited(",").splitlines()[1:]),
        b"id,name,code\n1,CanaryAlba,CANARYONE\n",
        b",".join([b"id", b"id"]) + b"\n1,CanaryAlba\n",
        b"PAR1CanaryAlba",
        b"\x1f\x8b\x08CanaryAlba",
        b"PK\x03\x04CanaryAlba",
        '"CanaryAlba'.encode("utf-16"),
    ],
)
def test_a_file_that_cannot_be_judged_says_no_value(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], body: bytes
) -> None:
    """Without a header its first line is a row; a damaged one may hold anything."""
    world = World(monkeypatch, contract())
    world.run(world.upload(body))
    out = capsys.readouterr()
    unseen(world, out.out + out.err)
