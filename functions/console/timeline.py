"""A model's history on one time axis: lanes of marks and bars, placed in percent of the axis. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import NamedTuple

from console.history import History, Run, runs
from interlock.ledger import Entry
from interlock.records import CheckedWindow

_TICKS = 6
# What lies at the very beginning is seen whole.
_MARGIN = 0.01
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_SHORTEST = timedelta(minutes=1)
_STEPS = (
    *(timedelta(minutes=count) for count in (1, 5, 15)),
    *(count * _HOUR for count in (1, 3, 6, 12)),
    *(count * _DAY for count in (1, 2, 7, 14, 30, 91, 182, 365)),
)
_INGEST = {"dataset admitted": "good", "dataset rejected": "bad", "ingest failed": "bad", "upload repeated": "soft"}
_RELEASE_WORDS = {
    "model promoted": "promoted",
    "model rolled back": "rolled back",
    "probe failed": "failed the probe",
    "no winner": "did not win",
}
_RUN = {"registered": "good", "refused": "bad", "failed": "bad"}
_RELEASE = {"model promoted": "good", "model rolled back": "bad", "probe failed": "bad", "no winner": "warn"}
_DRIFT = {"stable": "good", "warn": "warn", "drift": "bad"}
_DRIFT_WORDS = {"warn": "moving", "too_few": "too few"}
_PERFORMED = {"fine": "good", "dropped": "bad", "concept": "bad"}
_PERFORMED_WORDS = {"fine": "as before", "dropped": "worse", "concept": "concept drift", "unknown": "unknown"}


class Mark(NamedTuple):
    """Something at a moment; `href` is relative to the model's page, and empty where nothing is to be read."""

    x: float
    tone: str
    title: str
    href: str = ""


class Bar(NamedTuple):
    """Something that lasted; a label is shown where there is room."""

    x: float
    width: float
    tone: str
    title: str
    href: str = ""
    label: str = ""


class Lane(NamedTuple):
    """One kind of things; `said` sums it up in words, for whoever does not see it."""

    name: str
    said: str
    bars: tuple[Bar, ...] = ()
    marks: tuple[Mark, ...] = ()


class Tick(NamedTuple):
    """A moment of the axis."""

    x: float
    label: str


class Axis(NamedTuple):
    """From the first to the last moment that is shown."""

    start: datetime
    end: datetime

    def x(self, at: datetime) -> float:
        """The place of a moment in percent; what lies before or after the axis is at its ends."""
        share = (at - self.start) / (self.end - self.start)
        return round(100 * min(1.0, max(0.0, share)), 2)

    def ticks(self) -> list[Tick]:
        """At most seven round moments, in UTC."""
        length = self.end - self.start
        step = next((step for step in _STEPS if length / step <= _TICKS), length / _TICKS)
        form = (
            "%H:%M" if length < _DAY else "%d %b %H:%M" if step < _DAY else "%d %b" if length < 300 * _DAY else "%b %Y"
        )
        midnight = self.start.replace(hour=0, minute=0, second=0, microsecond=0)
        first = midnight + step * -(-(self.start - midnight) // step)
        found = []
        while first <= self.end:
            found.append(Tick(self.x(first), f"{first:{form}}".lstrip("0") if ":" not in form else f"{first:{form}}"))
            first += step
        return found


def axis(history: History, now: datetime, since: datetime | None) -> Axis:
    """The time since a moment, or that which a history spans.

    A window of traffic may begin a day before the model did, so that it is its end that counts. A minute at the least,
    so that what has just begun is not one dot.
    """
    if since is not None:
        return Axis(since, now)
    first = [found.began for found in runs(history.entries)[-1:]] + [entry.at for entry in history.entries[-1:]]
    first += [window.end if first else window.start for window in history.windows[:1]]
    start = min([*first, now - _SHORTEST])
    return Axis(start - _MARGIN * (now - start), now)


def lanes(history: History, on: Axis) -> list[Lane]:
    """Data, trainings, gate, releases, drift and performance."""
    trained = runs(history.entries)
    told = [entry for entry in history.entries if entry.decision.stage == "release"]
    return [
        _ingest([entry for entry in history.entries if entry.decision.stage == "ingest"], on),
        _trainings(trained, on),
        _gate(trained, on),
        _releases(told, history.windows, on),
        _windows("Drift", history.windows, on, lambda window: window.state, _DRIFT, _DRIFT_WORDS),
        _windows("Performance", history.windows, on, lambda window: window.performance, _PERFORMED, _PERFORMED_WORDS),
    ]


def _ingest(entries: Sequence[Entry], on: Axis) -> Lane:
    marks = tuple(
        Mark(
            on.x(entry.at),
            _INGEST.get(entry.decision.action, "soft"),
            f"{entry.at:%Y-%m-%d %H:%M}: {entry.decision.action}, {rows_of(entry)}",
            report_of(entry),
        )
        for entry in entries
    )
    said = (entry.decision.action.rsplit(" ", 1)[-1] for entry in entries)
    return Lane("Data", _counted(said, "no upload"), marks=marks)


def _trainings(found: Sequence[Run], on: Axis) -> Lane:
    bars = tuple(
        Bar(
            on.x(run.began),
            round(on.x(run.ended) - on.x(run.began), 2),
            "bad" if run.end == "failed" else "now",
            f"{run.began:%Y-%m-%d %H:%M} to {run.ended:%H:%M}: run {run.run}, {run.end}",
            f"/runs/{run.run}",
        )
        for run in found
    )
    return Lane("Trainings", _counted(("failed" if run.end == "failed" else "trained" for run in found), "none"), bars)


def _gate(found: Sequence[Run], on: Axis) -> Lane:
    judged = [run for run in found if run.end != "failed"]
    marks = tuple(
        Mark(
            on.x(run.ended),
            "warn" if run.end == "registered" and "warn" in checks_of(run).values() else _RUN[run.end],
            f"{run.ended:%Y-%m-%d %H:%M}: {f'version {run.version} registered' if run.version else 'refused'}",
            f"/runs/{run.run}",
        )
        for run in judged
    )
    return Lane("Gate", _counted(("passed" if run.version else "refused" for run in judged), "not asked"), marks=marks)


def _releases(entries: Sequence[Entry], windows: Sequence[CheckedWindow], on: Axis) -> Lane:
    """Which version served when, and what was decided about the next one; before the first decision, by the windows."""
    bars: list[Bar] = []
    until = on.end
    # Newest first: a champion served until the entry after its first one.
    for version, same in groupby(entries, key=lambda entry: entry.decision.evidence.get("champion")):
        since = list(same)[-1].at
        if version is not None:
            x, width = on.x(since), round(on.x(until) - on.x(since), 2)
            title = f"version {version} served from {since:%Y-%m-%d %H:%M}"
            bars.append(Bar(x, width, "one" if int(version) % 2 else "other", title, label=f"v{version}"))
        until = since
    if windows and (not entries or windows[0].end < until):
        version, title = windows[0].version, f"version {windows[0].version} served before"
        bars.append(Bar(0.0, on.x(until), "one" if version % 2 else "other", title, label=f"v{version}"))
    marks = tuple(
        Mark(
            on.x(entry.at),
            tone,
            f"{entry.at:%Y-%m-%d %H:%M}: {entry.decision.action}, {entry.decision.subject}. "
            f"{entry.decision.evidence.get('reason', '')}",
            report_of(entry),
        )
        for entry in entries
        if (tone := _RELEASE.get(entry.decision.action)) is not None
    )
    said = (word for entry in entries if (word := _RELEASE_WORDS.get(entry.decision.action)) is not None)
    return Lane("Releases", _counted(said, "none"), tuple(bars), marks)


def _windows(
    name: str,
    windows: Sequence[CheckedWindow],
    on: Axis,
    state: Callable[[CheckedWindow], str],
    tones: dict[str, str],
    words: dict[str, str],
) -> Lane:
    """Windows in a row that ended alike are one bar, which leads to the last of them."""
    bars = []
    for found, same in groupby(windows, key=state):
        alike = list(same)
        first, last = alike[0], alike[-1]
        word = words.get(found, found)
        many = f"{len(alike)} windows" if len(alike) > 1 else "1 window"
        title = f"{first.start:%Y-%m-%d %H:%M} to {last.end:%Y-%m-%d %H:%M}: {word}, {many}"
        x = on.x(first.start)
        bars.append(Bar(x, round(on.x(last.end) - x, 2), tones.get(found, "none"), title, f"/windows/{last.window}"))
    return Lane(
        name, _counted((words.get(state(window), state(window)) for window in windows), "not checked"), tuple(bars)
    )


def rows_of(entry: Entry) -> str:
    """An upload's size in words."""
    evidence = entry.decision.evidence
    if "rows" not in evidence:
        return str(evidence.get("message") or evidence.get("key") or entry.decision.subject)
    bad = evidence.get("bad_rows")
    return f"{evidence['rows']:,} rows" + (f", {bad:,} bad" if bad else "")


def report_of(entry: Entry) -> str:
    """Where the report of a decision lies in the console; empty when it has none.

    `report` is the object's address: `s3://<bucket>/reports/<model>/<stage>/<subject>/<name>`.
    """
    stored = str(entry.decision.evidence.get("report") or "")
    parts = stored.removeprefix("s3://").split("/")
    if len(parts) != 6 or parts[1] != "reports":
        return ""
    return "/reports/" + "/".join((*parts[3:5], parts[5].replace(".json", ".html")))


def checks_of(run: Run) -> dict[str, str]:
    """The outcome of each check of the gate, as far as the ledger has it."""
    found: dict[str, str] = run.entry.decision.evidence.get("checks", {})
    return found


def _counted(words: Iterable[str], nothing: str) -> str:
    """How often each came, the most frequent first."""
    known: dict[str, int] = {}
    for word in words:
        known[word] = known.get(word, 0) + 1
    return ", ".join(_said(known)) or nothing


def _said(known: dict[str, int]) -> Iterator[str]:
    for word, count in sorted(known.items(), key=lambda item: -item[1]):
        yield f"{count:,} {word}"
