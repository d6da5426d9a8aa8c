"""Bad rows there and back through the command: listed, shown, mended, sent again, linked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cli import evidence
from cli.target import Target

from .conftest import RENT, Command, answer, rent_rows, upload

HEADER = "flat_id;Größe (m²);stadtteil;built;balcony;rent"
BAD = ["Q-1;50;Ost;1950;perhaps;700", 'Q-2;-5;"a ""place""";1950;true;700', "Q-3;60;\x1b[31mOst;1950;true;x"]


def latest(interlock: Command) -> dict[str, Any]:
    found: list[dict[str, Any]] = answer(interlock, "quarantine", "list", RENT, "--limit", "1")
    return found[0]


def test_bad_rows_are_mended_and_sent_again(target: Target, interlock: Command, tmp_path: Path) -> None:
    body = rent_rows(40, seed=901) + "\n".join(BAD) + "\n"
    sent, run = upload(target, RENT, body.encode(), "mend me.csv")
    assert run.last == "Admitted"
    claim = sent.claim
    held = latest(interlock)
    assert (held["claim"], held["bad_rows"], held["sent_again"]) == (claim, 3, [])
    assert claim in interlock("quarantine", "list", RENT)[1]

    code, out = interlock("quarantine", "show", claim)
    assert code == 0
    for said in ("row 41", "balcony: type", "balcony=perhaps", "rent=x", 'stadtteil=a "place"', "\\x1b[31mOst"):
        assert said in out, said
    assert "\x1b" not in out
    rows = answer(interlock, "quarantine", "show", claim, "--limit", "1")["rows"]
    assert [row["reasons"] for row in rows] == [["balcony: type"]]

    # Two of the three are mended.
    path = tmp_path / "mended.csv"
    assert "interlock quarantine retry" in interlock("quarantine", "show", claim, "--out", str(path))[1]
    path.write_text(path.read_text("utf-8").replace("perhaps", "true").replace("-5", "55"), "utf-8")
    code, out = interlock("quarantine", "retry", claim, str(path))
    assert code == 0, out
    assert "3 rows, 1 bad" in out
    assert "mended rows of mend me.csv" in out
    (dataset,) = (item for item in evidence.datasets(target, RENT) if item.origin and item.origin.claim == claim)
    assert dataset.rows == 2
    ((entry),) = (item for item in evidence.ledger(target, RENT) if item.decision.subject == dataset.id)
    assert entry.decision.evidence["mended_from"] == claim
    record = evidence.claim(target, dataset.claim)
    assert record is not None
    assert record.origin == dataset.origin

    # The same file once more does nothing.
    again = answer(interlock, "quarantine", "retry", claim, str(path))
    assert (again["sent_before"], again["claim"], again["status"]) == (True, dataset.claim, "admitted")
    assert len([item for item in evidence.datasets(target, RENT) if item.origin]) == 1

    # The row that is still bad came back, and is mended now.
    held = latest(interlock)
    assert (held["claim"], held["bad_rows"], held["origin"]) == (dataset.claim, 1, claim)
    path.write_text(f"{HEADER}\n{BAD[2].replace(';x', ';720').replace(chr(27), '')}\n", "utf-8")
    last = answer(interlock, "quarantine", "retry", held["claim"], str(path))
    assert last["ended"] == "Admitted"
    named = answer(interlock, "quarantine", "list", RENT)
    assert {"claim": dataset.claim, "status": "admitted"} in next(
        item["sent_again"] for item in named if item["claim"] == claim
    )
    assert interlock("report", RENT, "--of", claim)[0] == 0


def test_rows_as_they_are_are_judged_again_and_rejected(target: Target, interlock: Command) -> None:
    sent, _ = upload(target, RENT, (rent_rows(40, seed=902) + BAD[0] + "\n").encode(), "still bad.csv")
    code, out = interlock("quarantine", "retry", sent.claim)
    assert code == 5
    assert "rejected" in out
    code, out = interlock("quarantine", "retry", sent.claim)
    assert code == 5
    assert "sent" in out
    assert "Nothing was done twice" in out
    assert "rejected" in interlock("quarantine", "list", RENT)[1].split("sent again as")[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["show", "0123456789abcdef"], "there is no upload with the claim"),
        (["retry", "0123456789abcdef"], "there is no upload with the claim"),
        (["list", "nobody"], "There is no such model"),
    ],
)
def test_what_is_not_there_is_said(interlock: Command, words: list[str], said: str) -> None:
    code, out = interlock("quarantine", *words)
    assert code == 2
    assert said in out
    assert "What to do:" in out


def test_of_a_rejected_upload_the_whole_file_is_wanted(target: Target, interlock: Command, tmp_path: Path) -> None:
    body = rent_rows(20, seed=903)
    sent, run = upload(target, RENT, (body + f"{BAD[0]}\n" * 10).encode(), "rejected.csv")
    assert run.last == "Rejected"
    code, out = interlock("quarantine", "retry", sent.claim)
    assert code == 2
    assert "rejected as a whole" in out
    path = tmp_path / "whole.csv"
    path.write_text(body, "utf-8")
    assert answer(interlock, "quarantine", "retry", sent.claim, str(path))["ended"] == "Admitted"
    good, _ = upload(target, RENT, rent_rows(20, seed=904).encode(), "good.csv")
    code, out = interlock("quarantine", "show", good.claim)
    assert code == 2
    assert "no row of" in out
