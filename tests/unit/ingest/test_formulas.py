"""A cell that a spreadsheet would run is text in every file for reading, and comes back as it was for mending."""

from __future__ import annotations

import csv
import io
import json

import pytest

from cli.quarantine.mending import bad_rows
from tests.unit.ingest.made import column, model
from tests.unit.ingest.world import World

FORMULAS = [
    *("=cmd|' /C calc'!A0", '=HYPERLINK("http://x.example","y")', "+1+1", "-1+1", "@SUM(1+1)", "\t=1+1", " =1+1"),
    *("=1\n=2", "\u00a0=1+1", "＝1+1", "＠SUM(1)", "\u200b=1+1", "%0A=1+1", "-5", "+49 30"),
]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_no_file_for_reading_holds_a_formula(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    world = World(monkeypatch, model(column("s", pattern="^fine$"), max_bad_row_share=1.0))
    if kind == "csv":
        out = io.StringIO(newline="")
        csv.writer(out).writerows([["s", "y"], ["fine", "1"], *([cell, "1"] for cell in FORMULAS)])
        body = out.getvalue()
    else:
        body = "\n".join(json.dumps({"s": cell, "y": 1}) for cell in ("fine", *FORMULAS)) + "\n"
    world.run(world.upload(body.encode(), f"incoming/small/f.{kind}"))
    written = {key.rsplit("/", 1)[1]: world.objects.read(key) for key in world.objects.keys("quarantine/")}

    listed = list(csv.DictReader(io.StringIO(written["violations.csv"].decode(), newline="")))
    assert [row["value"].removeprefix("'") for row in listed] == FORMULAS
    for row in listed:
        for cell in row.values():
            # LibreOffice and Excel skip blanks and take full-width signs; a signed number is a number.
            assert cell == "-5" or cell.lstrip("\t \u00a0\u200b")[:1] not in set("=+-@＝＋－＠") or not cell, cell
    assert [(row.values or {}).get("s") for row in bad_rows(written[f"bad-rows.{kind}"])] == FORMULAS
