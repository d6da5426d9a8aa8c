"""A person is forgotten on the deployed cloud: in S3's versions, the state table and the ledger as they are there."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from cli import evidence, inference
from cli.executions import Run
from cli.target import Target
from interlock.ledger import verify

from .conftest import RENT, Command, answer, rent_rows
from .test_loop import wait_for_captures


def test_a_person_is_forgotten_and_what_still_holds_them_is_listed(
    interlock: Command, target: Target, champions: dict[str, Run], tmp_path: Path
) -> None:
    lines = rent_rows(5, seed=1).splitlines()
    key = lines[4].partition(";")[0]
    rows: list[dict[str, Any]] = [
        {name: value or None for name, value in row.items()} for row in csv.DictReader(lines, delimiter=";")
    ]
    theirs, others = (inference.predict(target, RENT, rows[place : place + 1]) for place in (3, 2))
    for told in (theirs, others):
        assert inference.label(target, RENT, [{"request_id": told[0].request_id, "row": 0, "label": 900.0}]) == 1
    path = tmp_path / "remembered.csv"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    assert interlock("score", str(path), "--model", RENT, "--out", str(tmp_path / "answers.csv"))[0] == 0
    wait_for_captures(target, RENT, [*theirs, *others])
    words = ("forget", key, RENT, "--column", "flat_id", "--request", theirs[0].request_id)
    found = answer(interlock, *words)
    # The one captured row and its label, in however many versions; the other request is nobody's business.
    assert found["captures"] >= 1
    assert found["labels"] == 1
    assert found["left"] == 0
    wait_for_captures(target, RENT, others)
    again = answer(interlock, *words)
    assert (again["captures"], again["labels"]) == (0, 0)
    # What came and what was made of it, each with the folder it lies in, and nothing that is another's.
    held = {item["key"].split("/")[0]: item for item in found["held"]}
    assert {"incoming", "datasets", "score", "predictions"} <= set(held)
    # Other uploads lie there, too: of the same flats, some of them twice, and such as nobody can read.
    assert all(item["rows"] is None or item["rows"] >= 1 for item in found["held"])
    assert {item["rows"] for item in found["held"] if item["key"].endswith("/remembered.csv")} == {1}
    s3, bucket = target.client("s3"), target.outputs["DataBucket"]
    assert key.encode() in s3.get_object(Bucket=bucket, Key=held["predictions"]["key"])["Body"].read()
    live = evidence.live(target, RENT)
    assert live is not None
    assert live.champion is not None
    assert live.champion.run in found["models"]
    entries = list(evidence.ledger(target, RENT))
    verify(entries)
    assert [entry.decision.action for entry in entries if entry.decision.stage == "serve"][-4:] == [
        "forgetting begun", "person forgotten", "forgetting begun", "person forgotten",
    ]  # fmt: skip
    assert not any(key in entry.to_json() for entry in entries[-4:])
    code, said = interlock(*words)
    assert code == 0
    assert "Files that still hold them" in said
    assert "you remove it" in said
