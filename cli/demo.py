"""The demo: one model's whole life, through the same doors that every user has (S3, HTTPS, the workflows)."""

from __future__ import annotations

import csv
import gzip
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from cli import cloud, evidence, executions, history, inference, uploads
from cli.target import Target
from cli.view import console, note, step, table
from cli.watching import show
from interlock.errors import DependencyUnavailable, InvalidRequest, Refused
from interlock.folder import model_folders
from localcloud import supervisor

_BATCH = 100
_MARK = "demo"


@dataclass
class Story:
    """What has been done so far and how long it took."""

    target: Target
    model: str
    folder: Path
    scenario: dict[str, Any]
    times: list[tuple[str, float]] = field(default_factory=list)

    @contextmanager
    def chapter(self, title: str) -> Iterator[None]:
        """A part of the demo, timed."""
        step(f"\n{len(self.times)}. {title}")
        started = time.monotonic()
        yield
        self.times.append((title, time.monotonic() - started))


def run(model: str | None, *, reset: bool) -> None:
    """Tell the whole story from an empty local cloud.

    Raises:
        Refused: there is a local cloud that is somebody's, not the demo's.
        DependencyUnavailable: a step did not happen in time; says which.
    """
    folder = _folder(model)
    scenario = yaml.safe_load((folder / "demo.yaml").read_text("utf-8"))
    _begin_anew(reset=reset)
    started = time.monotonic()
    step("0. The cloud: emulator, SageMaker, the CDK app deployed by the real CDK CLI")
    cloud.deploy("dev", None)
    deployed = time.monotonic() - started
    story = Story(Target.find("dev", None), folder.name, folder, scenario)
    story.times.append(("The cloud", deployed))
    _first_data(story)
    _training(story, "A SageMaker job trains, the gate judges, the registry keeps", "DatasetAdmitted")
    _release(story, "Released: changed, probed through the real endpoint, live")
    _people(story)
    _drift(story)
    _training(story, "Retraining on the newer data as well", "RetrainRequested")
    _release(story, "The new version takes over")
    _end(story)


def _begin_anew(*, reset: bool) -> None:
    mark = supervisor.HOME / "state" / _MARK
    if (supervisor.HOME / "state").exists() and not mark.exists() and not reset:
        raise Refused(
            "there is a local cloud that the demo did not make",
            remedy="`interlock demo --reset` throws it away; or keep it and use the other commands.",
        )
    cloud.wipe_local()
    mark.parent.mkdir(parents=True)
    mark.touch()


def _folder(model: str | None) -> Path:
    folders = [path for path in model_folders(supervisor.ROOT / "models") if (path / "demo.yaml").exists()]
    for folder in folders:
        if model in {None, folder.name}:
            return folder
    raise InvalidRequest(
        f"there is no demo of '{model}'" if model else "no folder of models/ has a demo.yaml",
        remedy=f"Folders of models/ with a demo.yaml: {', '.join(path.name for path in folders) or 'none'}.",
    )


def _first_data(story: Story) -> None:
    with story.chapter("Data is uploaded to S3, some of its rows really bad"):
        with gzip.open(story.folder / story.scenario["first_upload"], "rt", encoding="utf-8") as file:
            lines = file.read().splitlines()
        for bad in story.scenario["bad_lines"]:
            note(f"adding {bad['why']}")
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "people.csv"
            path.write_text("\n".join([*lines, *(bad["line"] for bad in story.scenario["bad_lines"])]) + "\n", "utf-8")
            sent = uploads.send(story.target, story.model, path)
        _must(show(story.target, uploads.run_of(story.target, sent)), "Admitted")
        uploads.summarise(story.target, sent)


def _training(story: Story, title: str, event: str) -> None:
    began = datetime.now(UTC)
    with story.chapter(title):
        found = executions.wait_for(
            story.target,
            "train",
            _since(story, began),
            lambda run: run.input.get("detail-type") == event,
        )
        _must(show(story.target, found), "Done")
        report = evidence.newest(story.target, story.model, "train")
        history.show_verdict(evidence.document(story.target, report))


def _release(story: Story, title: str) -> None:
    with story.chapter(title):
        since = _since(story, datetime.now(UTC))
        # The gate's event and the registry's tell of the same approval: one of them does the work.
        found = executions.wait_for(
            story.target, "release", since, lambda run: any(step.name == "Probe" for step in run.steps)
        )
        show(story.target, found)
        _wait_until_live(story)
        live = evidence.live(story.target, story.model)
        if live is not None and live.champion is not None:
            note(f"version {live.champion.version} serves at revision {live.revision}")


def _wait_until_live(story: Story) -> None:
    """Wait until the record says live and no run is under way."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        runs = executions.recent(story.target, "release", 5)
        live = evidence.live(story.target, story.model)
        if live is not None and live.state == "live" and all(run.status != "RUNNING" for run in runs):
            return
        time.sleep(0.5)
    raise DependencyUnavailable("the release did not end within two minutes", remedy="Run `interlock watch release`.")


def _people(story: Story) -> None:
    with story.chapter("Predictions over HTTPS, signed"):
        rows = [person["row"] for person in story.scenario["people"]]
        found = inference.predict(story.target, story.model, rows)
        table(
            "",
            ("who", "label", "probability", "version"),
            [
                (person["who"], item.label, f"{item.score:.3f}", item.version)
                for person, item in zip(story.scenario["people"], found, strict=True)
            ],
        )
        note("the same with curl:")
        console.print("  " + inference.curl(story.target, story.model, rows[:1]), soft_wrap=True, markup=False)


def _drift(story: Story) -> None:
    plan = story.scenario["drift"]
    column, least, wanted = plan["where"]["column"], plan["where"]["at_least"], plan["rows"]
    with story.chapter("The world changes: other people call, and their true answers arrive later"):
        with gzip.open(story.folder / plan["file"], "rt", encoding="utf-8") as file:
            chosen = [row for row in csv.DictReader(file) if float(row[column]) >= least][:wanted]
        began = datetime.now(UTC)
        for start in range(0, len(chosen), _BATCH):
            batch = [
                {name: value if value != "?" else None for name, value in row.items()}
                for row in chosen[start : start + _BATCH]
            ]
            inference.predict(story.target, story.model, batch)
        note(f"{len(chosen)} predictions for people with {column} from {least} up")
        sent = uploads.send(story.target, story.model, story.folder / story.scenario["second_upload"])
        _must(show(story.target, uploads.run_of(story.target, sent)), "Admitted")
        uploads.summarise(story.target, sent)
        _wait_for_captures(story, began, len(chosen))
    with story.chapter("The scheduled check compares the traffic with the training data"):
        _must(show(story.target, executions.start(story.target, "monitor", {"model": story.model})), "Decided")
        history.show_drift(story.target, story.model)


def _wait_for_captures(story: Story, since: datetime, rows: int) -> None:
    """Captures travel through the log; wait until the function that keeps them has counted as many."""
    deadline, kept = time.monotonic() + 120, 0
    while time.monotonic() < deadline:
        kept = evidence.captured(story.target, since)
        if kept >= rows:
            note(f"{kept} predictions captured")
            return
        time.sleep(0.5)
    raise DependencyUnavailable(
        f"{kept} of {rows} predictions were captured", remedy="Read `interlock logs serve-capture`."
    )


def _end(story: Story) -> None:
    step("\nWhat happened")
    history.show_ledger(list(evidence.ledger(story.target, story.model)))
    table("How long it took", ("part", "seconds"), [(title, f"{seconds:.1f}") for title, seconds in story.times])
    console.print(f"[bold]In all {sum(seconds for _, seconds in story.times):.0f} s.[/] The reports:")
    # The newest of each stage that has any: a release to all at once has no verdict.
    newest = {report.stage: report for report in reversed(evidence.reports(story.target, story.model))}
    for stage, report in newest.items():
        note(f"{stage:8} {evidence.fetch(story.target, report)}")
    console.print(
        "\nThe local cloud goes on running. Next:\n"
        "  interlock status              what serves, what ran\n"
        "  interlock console             the same, and more, in a browser\n"
        "  interlock predict --row …     ask for somebody else\n"
        "  interlock rollback            serve the version before\n"
        "  interlock history --verify    check the ledger\n"
        "  interlock down                stop it"
    )


def _since(story: Story, now: datetime) -> datetime:
    """The start of what came after the chapter before last: events may be faster than the story."""
    return datetime.fromtimestamp(now.timestamp() - story.times[-1][1] - 5, UTC)


def _must(run: executions.Run, state: str) -> None:
    if run.last != state:
        raise DependencyUnavailable(
            f"{run.workflow} {run.name} ended in {run.last}, not in {state}: {run.error or ''} {run.message or ''}",
            remedy=f"Read `interlock logs {run.workflow}`.",
        )
