"""A minute reads what is new: a step's calls are counted from look to look, each once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from release.tally import MARGIN, Tally, count
from serve import capture
from serve.captures import failure
from tests.unit.fakes import FakeObjects, FakeState
from tests.unit.release.test_judgement import LIVE, MODEL

BEGAN = datetime(2026, 3, 2, 6, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Bucket(FakeObjects):
    """A bucket whose clock the test sets, and which tells what was read."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.written, self.reads = BEGAN, dict[str, datetime](), list[str]()

    def put_file(self, key: str, path: Path, content_type: str = "") -> Any:
        self.written[key] = self.now
        return super().put_file(key, path)

    def keys(self, prefix: str, since: datetime | None = None) -> Iterator[str]:
        found = super().keys(prefix)
        return (key for key in found if since is None or self.written[key] >= since)

    def download(self, key: str, path: Path) -> Path:
        self.reads.append(key)
        return super().download(key, path)


class Step:
    """A step that bakes, with its captures."""

    def __init__(self, tmp_path: Path) -> None:
        self.data, self.state, self.folder, self.live = Bucket(), FakeState(), tmp_path, LIVE
        self.live = LIVE.model_copy(update={"began": BEGAN})

    def calls(self, names: list[str], at: datetime, version: int = 2, unit: str | None = "u") -> None:
        lines = [
            {
                "interlock": "capture", "schema_version": 2, "model": "flats", "version": version, "revision": 4,
                "request_id": name, "time": at.isoformat(), "milliseconds": 1.0, "unit": unit, "first_row": 0,
                "labels": ["yes"], "scores": [0.7], "inputs": {"size": [1.0], "place": [0]},
            }
            for name in names
        ]  # fmt: skip
        log = zip(names, lines, strict=True)
        capture.keep([{"id": f"{self.data.now}-{name}", "message": json.dumps(line)} for name, line in log], self.data)

    def fails(self, names: list[str], at: datetime) -> None:
        lines = [failure("flats", 2, 4, name, at.isoformat(), ValueError()).decode() for name in names]
        capture.keep([{"id": f"f{name}", "message": line} for name, line in zip(names, lines, strict=True)], self.data)

    def look(self, at: datetime) -> Tally:
        self.data.now = at
        self.data.reads.clear()
        folder = self.folder / f"{len(list(self.folder.iterdir()))}"
        folder.mkdir()
        return count(self.data, self.state, self.live, at, folder)


@pytest.fixture
def step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Step:
    monkeypatch.setattr(capture, "deployed", lambda _model: MODEL)
    return Step(tmp_path)


def test_each_look_reads_what_is_new_and_counts_all(step: Step) -> None:
    for minute in range(1, 31):
        at = BEGAN + minute * MINUTE
        step.data.now = at
        step.calls([f"{minute}-a", f"{minute}-b"], at)
        step.calls([f"{minute}-c"], at, version=1)
        found = step.look(at)
        assert found.calls == {2: 2 * minute, 1: minute}
        # Two files a minute: of this one, the last, and the margin before it.
        assert len(step.data.reads) <= 2 * (MARGIN // MINUTE + 2)
    step.fails(["x", "y"], BEGAN + 30 * MINUTE)
    assert step.look(BEGAN + 31 * MINUTE).failures == {2: 2}


def test_twice_late_and_compacted_counts_once(step: Step) -> None:
    at = BEGAN + MINUTE
    step.data.now = at
    step.calls(["a", "b"], at)
    assert step.look(at).calls == {2: 2}
    # The log brings the same calls in another batch, together with one that is late.
    step.data.now = at + 3 * MINUTE
    step.calls(["a", "late", "b"], at)
    found = step.look(at + 3 * MINUTE)
    assert (found.calls, found.fresh) == ({2: 3}, True)
    # Compacted: the small files are gone, a large one with the same calls is there.
    for key in list(step.data.newest):
        if key.startswith("captures/"):
            step.data.delete(key)
    step.data.now = at + 20 * MINUTE
    step.calls(["a", "b", "late"], at)
    found = step.look(at + 20 * MINUTE)
    assert (found.calls, found.fresh) == ({2: 3}, False)


def test_what_the_step_is_not_about_is_not_counted(step: Step) -> None:
    step.calls(["before"], BEGAN - MINUTE)
    step.calls(["named a version"], BEGAN + MINUTE, unit=None)
    assert step.look(BEGAN + MINUTE).calls == {}
    step.calls(["a"], BEGAN + MINUTE)
    assert step.look(BEGAN + 2 * MINUTE).calls == {2: 1}


def test_another_step_begins_anew(step: Step) -> None:
    step.calls(["a"], BEGAN + MINUTE)
    assert step.look(BEGAN + MINUTE).calls == {2: 1}
    step.live = step.live.model_copy(update={"began": BEGAN + 2 * MINUTE})
    step.data.now = BEGAN + 3 * MINUTE
    step.calls(["b"], BEGAN + 3 * MINUTE)
    assert step.look(BEGAN + 3 * MINUTE).calls == {2: 1}


def test_a_look_that_dies_is_made_again_from_the_one_before(step: Step, monkeypatch: pytest.MonkeyPatch) -> None:
    step.calls(["a"], BEGAN + MINUTE)
    step.look(BEGAN + MINUTE)
    step.data.now = BEGAN + 2 * MINUTE
    step.calls(["b"], BEGAN + 2 * MINUTE)
    with monkeypatch.context() as patch:
        patch.setattr(step.state, "put", lambda *_: (_ for _ in ()).throw(RuntimeError("killed")))
        with pytest.raises(RuntimeError):
            step.look(BEGAN + 2 * MINUTE)
    assert step.look(BEGAN + 15 * MINUTE).calls == {2: 2}
