"""Sets of files on the deployed cloud: the distributed map, its permissions, and what becomes of a set half-way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli import evidence, executions, uploads
from cli.executions import Run
from cli.target import Target
from ingest.judgement import Judgement

from .conftest import FAILING, denied, ended, rent_rows

SEEDS = iter(range(900, 1000))


def folder(path: Path, files: int, rows: int = 20) -> Path:
    """Files of one flat each a line; the last holds a key of the first, and a bad row."""
    path.mkdir()
    first = ""
    for number in range(files):
        text = rent_rows(rows, seed=next(SEEDS))
        first = first or text.splitlines()[1]
        if number == files - 1:
            text += f"{first}\nX;50;;1950;perhaps;700\n"
        (path / f"flats-{number}.csv").write_text(text, "utf-8")
    return path


def sent(target: Target, path: Path) -> tuple[uploads.Sent, Run]:
    found = uploads.send_set(target, FAILING, path)
    return found, ended(target, uploads.run_of(target, found))


def judgement(target: Target, upload: uploads.Sent) -> Judgement:
    key = f"reports/{upload.model}/ingest/{upload.claim}/report.html"
    report = evidence.Report(upload.model, "ingest", upload.claim, key, None)
    return Judgement.model_validate(evidence.document(target, report))


def test_six_files_become_one_dataset(target: Target, tmp_path: Path) -> None:
    upload, run = sent(target, folder(tmp_path / "six flats", 6))
    assert run.last == "Admitted", run.message
    steps = {step.name: step for step in run.steps}
    assert steps["Files"].items == (6, 6)
    # The last file has a key of the first.
    assert steps["FilesAgain"].items == (1, 1)
    found = judgement(target, upload)
    assert (found.rows, found.bad_rows) == (122, 2)
    assert {item.rule: [example.file for example in item.examples] for item in found.findings} == {
        "primary_key": ["six flats/flats-5.csv"],
        "type": ["six flats/flats-5.csv"],
    }
    dataset = evidence.dataset_of(target, FAILING, upload.claim)
    assert dataset is not None
    assert dataset.train_rows + dataset.holdout_rows == 120
    # None of the files was taken for an upload of its own.
    claims = [item.claim for item in evidence.datasets(target, FAILING) if "flats-" in item.source.key]
    assert not claims
    # The same files again, under another name.
    (tmp_path / "six flats").rename(tmp_path / "renamed")
    upload, run = sent(target, tmp_path / "renamed")
    assert run.last == "Duplicate"


def test_a_file_that_is_missing_refuses_the_set(target: Target, tmp_path: Path) -> None:
    upload = uploads.send_set(target, FAILING, folder(tmp_path / "good", 1))
    ended(target, uploads.run_of(target, upload))
    manifest = tmp_path / "gone.manifest.json"
    url = f"s3://{upload.bucket}/parts/{FAILING}/good/gone.csv"
    manifest.write_text(json.dumps({"entries": [{"url": url}]}))
    run = ended(target, uploads.run_of(target, uploads.send(target, FAILING, manifest)))
    assert run.last == "Refused"
    assert any(step.error == "InvalidUpload" for step in run.steps)


@pytest.mark.parametrize(
    ("function", "step"), [("plan", "Plan"), ("part", "Files"), ("doubles", "Doubles"), ("merge", "Merge")]
)
def test_a_set_that_fails_half_way_is_whole_the_next_time(
    target: Target, tmp_path: Path, function: str, step: str
) -> None:
    before = len(evidence.datasets(target, FAILING))
    path = folder(tmp_path / f"without-{function}", 2)
    with denied(target, f"ingest-{function}"):
        upload, run = sent(target, path)
    assert run.status == "FAILED"
    assert run.steps[-2].name == "WhoseFault"
    assert step in [item.name for item in run.steps]
    assert len(evidence.datasets(target, FAILING)) == before
    again = ended(target, executions.again(target, run), "Admitted")
    assert step in [item.name for item in again.steps]
    dataset = evidence.dataset_of(target, FAILING, upload.claim)
    assert dataset is not None
    assert (dataset.rows, dataset.bad_rows) == (40, 2)


def test_a_set_whose_run_was_stopped_is_taken_over(target: Target, tmp_path: Path) -> None:
    # Enough files for a moment in which it can be stopped.
    upload = uploads.send_set(target, FAILING, folder(tmp_path / "stopped", 24, rows=2))
    run = uploads.run_of(target, upload)
    for seen in executions.follow(target, run, 60):
        if any(step.name == "Files" for step in seen.steps):
            break
    target.client("stepfunctions").stop_execution(executionArn=run.arn)
    assert executions.read(target, run).status == "ABORTED"
    # At once, and not when the claim of the stopped run is over.
    assert ended(target, executions.again(target, run)).last == "Admitted"
    assert sum(item.claim == upload.claim for item in evidence.datasets(target, FAILING)) == 1
