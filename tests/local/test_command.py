"""The command itself, against the deployed cloud: what it prints, and its exit codes for scripts."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from cli.contracts import deploying
from cli.target import Target
from interlock.folder import read_model
from localcloud.supervisor import ROOT

from .conftest import CENSUS, FAILING, RENT, Command, answer, rent_rows

pytestmark = pytest.mark.usefixtures("champions")


def test_status_names_what_serves(interlock: Command) -> None:
    models = {item["model"]: item for item in answer(interlock, "status")["models"]}
    assert models[CENSUS]["version"] >= 1
    assert models[FAILING]["version"] is None
    code, out = interlock("status")
    assert code == 0
    assert CENSUS in out


def test_predict_and_label(interlock: Command, tmp_path: Path) -> None:
    row = "Größe (m²)=80.5,stadtteil=Nord,built=1990,balcony=true"
    found = answer(interlock, "predict", RENT, "--row", row)
    assert 500 < found[0]["score"] < 2500
    rows = tmp_path / "rows.csv"
    rows.write_text("Größe (m²),stadtteil,built,balcony\n80.5,Nord,1990,true\n30,,1950,false\n", "utf-8")
    several = answer(interlock, "predict", RENT, "--file", str(rows))
    assert several[0]["score"] == found[0]["score"]
    assert len(several) == 2
    assert answer(interlock, "label", found[0]["request_id"], "901.5", RENT) == {"accepted": 1}
    assert "--aws-sigv4" in interlock("predict", RENT, "--row", row, "--curl")[1]


def test_upload_follows_and_sums_up(interlock: Command, tmp_path: Path) -> None:
    path = tmp_path / "flats.csv"
    path.write_text(rent_rows(30, seed=600), "utf-8")
    code, out = interlock("upload", RENT, str(path))
    assert code == 0
    assert "30 rows, 0 bad" in out
    path.write_text("nothing;of;this\n1;2;3\n", "utf-8")
    code, out = interlock("upload", RENT, str(path))
    assert code == 5
    assert "flat_id" in out


def test_history_is_shown_and_verified(interlock: Command) -> None:
    assert answer(interlock, "history", CENSUS, "--verify")["intact"] is True
    assert "model promoted" in interlock("history", CENSUS)[1]


def test_releases_are_shown(interlock: Command) -> None:
    assert answer(interlock, "release", "status", CENSUS)["live"]["state"] == "live"
    assert "serves" in interlock("release", "status", CENSUS)[1]
    assert [item["action"] for item in answer(interlock, "release", "history", CENSUS)][:2] == [
        "release started",
        "model promoted",
    ]
    assert "Version 1 was champion" in interlock("release", "champion", CENSUS)[1]
    code, out = interlock("release", "champion", CENSUS, "--at", "2020-01-01")
    assert (code, "nothing of" in out) == (2, True)
    assert interlock("release", "pause", CENSUS)[0] == 3


def test_reports_logs_and_runs_are_fetched(interlock: Command, target: Target) -> None:
    assert answer(interlock, "report", CENSUS, "--stage", "train")["passed"] is True
    code, out = interlock("report", CENSUS, "--stage", "ingest")
    assert code == 0
    *shown, path = out.splitlines()
    assert "admitted" in shown[0]
    assert Path(path).read_text("utf-8").startswith("<!doctype html>")
    assert "capture" in interlock("logs", "serve-infer")[1]
    jobs = target.client("sagemaker").list_training_jobs(NameContains=RENT)["TrainingJobSummaries"]
    assert interlock("logs", "--job", jobs[0]["TrainingJobName"])[1].count("interlock: rows=") == 1
    assert interlock("watch", "ingest")[0] in {0, 4}
    doctor = answer(interlock, "doctor")
    assert {item["state"] for item in doctor} <= {"ok", "warn"}


def test_a_changed_contract_is_held_against_what_serves_and_what_was_uploaded(
    interlock: Command, target: Target, tmp_path: Path
) -> None:
    folder = tmp_path / "models" / CENSUS
    shutil.copytree(ROOT / "models" / CENSUS, folder)
    text = (folder / "contract.yaml").read_text("utf-8").replace("version: 1.0.0", "version: 1.1.0")
    (folder / "contract.yaml").write_text(text.replace("maximum: 120", "maximum: 60"), "utf-8")
    (found,) = answer(interlock, "contract", "diff", CENSUS, "--models", str(tmp_path / "models"), "--last", "1")
    assert found["newly_bad"].keys() == {"age: maximum"}
    assert found["newly_good"] == {}
    foreseen = deploying.foreseen(target, [read_model(folder)])
    assert [(item.about, item.breaks) for item in foreseen[CENSUS]] == [("data", False)]
    assert "the rules of age change" in foreseen[CENSUS][0].says
    # What serves and has no folder any more would be taken away.
    assert foreseen[RENT][0].breaks


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["predict", "nobody", "--row", "a=1"], 2, "There is no such model"),
        (["predict", RENT, "--row", "nonsense"], 2, "is not column=value"),
        (["predict", RENT, "--row", "stadtteil=Nord"], 2, "The request is not valid"),
        (["rollback", CENSUS], 3, "nothing to go back to"),
        (["watch", "no-such-run"], 2, "no run"),
        (["report", FAILING, "--stage", "monitor"], 2, "no monitor report"),
        (["logs", "nothing-like-it"], 2, "no function"),
        (["logs", "--job", "nobody"], 2, "no training job"),
    ],
)
def test_an_error_has_its_headline_remedy_and_exit_code(
    interlock: Command, words: list[str], code: int, said: str
) -> None:
    got, out = interlock(*words)
    assert got == code, out
    assert said in out
    assert "What to do:" in out


def test_ctrl_c_ends_the_command_and_not_the_cloud(interlock: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("cli.history.status", interrupted)
        code, out = interlock("status")
    assert code == 130
    assert "goes on" in out
    assert answer(interlock, "status")["models"]


def test_production_is_never_destroyed(interlock: Command, target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Target, "outputs", {**target.outputs, "Production": "true"})
    code, out = interlock("destroy", "--yes")
    assert code == 5
    assert "is production" in out
