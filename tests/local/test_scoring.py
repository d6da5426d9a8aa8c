"""Files scored on the deployed cloud: as HTTPS answers their rows, in one function and in pieces."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from cli import inference, uploads
from cli.target import Target
from interlock.keys import SCORE
from serve.score.documents import Result

from .conftest import FAILING, RENT, Command, ended, rent_rows

pytestmark = pytest.mark.usefixtures("champions")


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def asked(target: Target, lines: list[str]) -> list[float]:
    """What HTTPS answers, by the columns' names, which stand in the first line."""
    found: list[dict[str, Any]] = [
        {name: value or None for name, value in row.items()} for row in csv.DictReader(lines, delimiter=";")
    ]
    return [item.score for item in inference.predict(target, RENT, found)]


def test_a_file_is_scored_as_https_answers_its_rows(interlock: Command, target: Target, tmp_path: Path) -> None:
    lines = rent_rows(30, seed=700).splitlines()
    path, out = tmp_path / "flats.csv", tmp_path / "answers.csv"
    path.write_text("\n".join([*lines[:11], "X;-5;Nord;1400;perhaps;", "Y;50", *lines[11:]]) + "\n", "utf-8")
    code, said = interlock("score", str(path), "--model", RENT, "--out", str(out))
    assert code == 0, said
    assert "30 of 32 rows scored by version" in said
    assert "balcony: must be true or false" in said
    rows = read(out)
    assert [row["flat_id"] for row in rows[:10]] == [line.split(";")[0] for line in lines[1:11]]
    assert [row["line"] for row in rows if row["error"]] == ["12", "13"]
    expected = asked(target, lines)
    assert [float(row["prediction"]) for row in rows if not row["error"]] == pytest.approx(expected, rel=1e-6)


def test_a_large_file_is_scored_in_pieces_with_the_same_answers(target: Target, tmp_path: Path) -> None:
    lines = rent_rows(1000, seed=701).splitlines()
    # Some kilobytes in the target's column, which is nobody's input, make it large without many rows.
    path = tmp_path / "many.csv"
    path.write_text("\n".join([lines[0], *(f"{line}{'0' * 17_000}" for line in lines[1:])]) + "\n", "utf-8")
    sent = uploads.send(target, RENT, path, folder=SCORE)
    run = ended(target, uploads.run_of(target, sent, "score"), "Scored")
    pieces = next(step for step in run.steps if step.name == "Pieces")
    assert pieces.items == (2, 2)
    s3, folder = target.client("s3"), f"predictions/{RENT}/{sent.claim}"
    result = Result.from_json(s3.get_object(Bucket=sent.bucket, Key=f"{folder}/result.json")["Body"].read())
    assert (result.rows, result.scored, result.source and result.source.size) == (1000, 1000, path.stat().st_size)
    s3.download_file(sent.bucket, f"{folder}/predictions.csv", str(path))
    rows = read(path)
    assert [row["row"] for row in rows] == [str(number) for number in range(1, 1001)]
    assert [float(row["prediction"]) for row in rows] == pytest.approx(asked(target, lines), rel=1e-6)


def test_a_file_that_nobody_can_answer_yet_says_so(interlock: Command, tmp_path: Path) -> None:
    path = tmp_path / "flats.csv"
    path.write_text(rent_rows(3, seed=702), "utf-8")
    code, said = interlock("score", str(path), "--model", FAILING)
    assert code == 3
    assert f"no version of '{FAILING}' serves yet" in said
