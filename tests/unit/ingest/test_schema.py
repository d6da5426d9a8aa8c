"""The published schema of a judgement, held against real ones by an independent validator."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from ingest.judgement import json_schema
from interlock.contract import ColumnType
from tests.unit.ingest.made import INTEGER, NUMBER, column, model
from tests.unit.ingest.world import World

ROOT = Path(__file__).parents[3]
SCHEMA = json.loads((ROOT / "docs" / "judgement.schema.json").read_text("utf-8"))
HEADER, GOOD = b"n,s,d,y\n", b"1,a,2024-02-29,1\n2,b,,2\n"


def document(monkeypatch: pytest.MonkeyPatch, *bodies: bytes) -> Any:
    """The last report of these uploads, as it is stored."""
    columns = (column("n", INTEGER, minimum=0), column("s", restricted=True), column("d", ColumnType.DATE))
    world = World(monkeypatch, model(*columns, column("y", NUMBER), max_bad_row_share=0.5))
    for number, body in enumerate(bodies):
        event = world.upload(body, f"incoming/small/{number}.csv")
        claim = world.run(event, f"e{number}", until="conclude")["claim"]
        world.run(event, f"e{number}")
    return json.loads(world.objects.read(f"reports/small/ingest/{claim}/report.json"))


def test_the_published_schema_is_the_documents_own() -> None:
    assert json_schema() == SCHEMA, "interlock report --schema > docs/judgement.schema.json"
    Draft202012Validator.check_schema(SCHEMA)


def test_the_command_prints_it() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "cli", "report", "--schema"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert json.loads(said.stdout) == SCHEMA


@pytest.mark.parametrize(
    "bodies",
    [
        (HEADER + GOOD,),
        (HEADER + GOOD * 20 + b"x,c,1.1.2024,-\n", HEADER + GOOD * 30 + b"-1,d,,1\nragged\n"),
        (b"",),
        (HEADER + b"x,y,z,w\n",),
    ],
)
def test_real_judgements_keep_it(monkeypatch: pytest.MonkeyPatch, bodies: tuple[bytes, ...]) -> None:
    Draft202012Validator(SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(
        document(monkeypatch, *bodies)
    )


def test_something_else_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    found = document(monkeypatch, HEADER + GOOD)
    check = Draft202012Validator(SCHEMA).is_valid
    assert check(found)
    assert not check({**found, "verdict": "maybe"})
    assert not check({**found, "unknown": 1})
    assert not check({name: value for name, value in found.items() if name != "rows"})


def test_a_judgement_from_before_the_comparison_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = document(monkeypatch, HEADER + GOOD)
    for name in ("columns", "previous", "origin", "outcomes"):
        found.pop(name)
    assert Draft202012Validator(SCHEMA).is_valid(found)
