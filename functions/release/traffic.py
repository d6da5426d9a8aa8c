"""Captured answers, failures and labels since a moment, by version."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt

from interlock import keys
from interlock.aws.objects import Objects
from interlock.database import connect
from interlock.inference import Value
from interlock.models import DeployedModel
from interlock.records import Input, ServedModel
from interlock.sql import quoted, text
from interlock.stats.drift.reference import Reference
from interlock.stats.performance import captured
from interlock.stats.performance.estimate import Estimate

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Texts = npt.NDArray[np.str_]
# Rows that are scored by both models: enough for a share to within two percent.
_COMPARED = 4000
# What the capture cuts a text to; a longer one cannot be scored again as it was.
_LONGEST_VALUE = 1000
# Of the engine, in megabytes; what it finds takes as much again.
MEMORY = 400
_EMPTY = np.empty(0)
_LOST = object()
CAPTURES = {
    "time": "TIMESTAMP",
    "request_id": "VARCHAR",
    "row": "INTEGER",
    "version": "INTEGER",
    "label": "VARCHAR",
    "score": "DOUBLE",
    "milliseconds": "DOUBLE",
    "unit": "VARCHAR",
}
FAILURES = {"time": "TIMESTAMP", "request_id": "VARCHAR", "version": "INTEGER"}
_LABELS = {"request_id": "VARCHAR", "row": "INTEGER", "label": "VARCHAR", "received": "VARCHAR"}


@dataclass(frozen=True)
class Arm:
    """What one version answered. `truth` is NaN where no label came, `units` are those whom the split keeps together.

    `milliseconds` [calls]; `scores`, `places`, `truth`, `units` and each of `groups` [rows]. `places` are the answered
    classes' numbers and empty for a regression. `estimated` are the metrics that the answers promise without a label,
    or nothing, and `unestimated` says why.
    """

    version: int
    threshold: float
    calls: int
    failures: int
    milliseconds: Floats
    scores: Floats
    places: Ints
    truth: Floats
    units: Texts
    groups: Mapping[str, Texts]
    estimated: Mapping[str, Estimate] = field(default_factory=dict)
    unestimated: str = ""


class Traffic:
    """Captures, failures and labels of a model since a moment, in the data engine."""

    def __init__(
        self, data: Objects, model: DeployedModel, start: datetime, end: datetime, scratch: Path, *, routed: bool
    ) -> None:
        self._model = model
        self._con = connect(MEMORY, scratch, threads=None)
        self._scratch, self._data = scratch, data
        captures, failures, labels = (
            self._fetch(key, start, end) for key in (keys.captures, keys.failures, keys.labels)
        )
        period = [start.replace(tzinfo=None), end.replace(tzinfo=None)]
        table(self._con, "captured", CAPTURES, f"read_parquet([{captures}], union_by_name=true)" if captures else "")
        table(self._con, "failed", FAILURES, f"read_parquet([{failures}], union_by_name=true)" if failures else "")
        reader = f"read_json([{labels}], format='newline_delimited', columns={_LABELS})" if labels else ""
        table(self._con, "labelled", _LABELS, reader)
        # Calls that named a version themselves were not drawn for it.
        drawn = " AND unit IS NOT NULL" if routed else ""
        self._con.execute(
            f"CREATE TABLE traffic AS SELECT DISTINCT ON (request_id, row) * FROM captured"  # noqa: S608
            f" WHERE time > ? AND time <= ?{drawn}",
            period,
        )
        self._con.execute(
            "CREATE TABLE failures AS SELECT DISTINCT request_id, version FROM failed WHERE time > ? AND time <= ?",
            period,
        )
        # Who labels a row twice means the later one.
        self._con.execute(
            "CREATE TABLE labels AS SELECT DISTINCT ON (request_id, row) * FROM labelled ORDER BY received DESC"
        )
        self._there = {name for name, *_ in self._con.execute("DESCRIBE traffic").fetchall()}

    def arm(self, version: int, threshold: float | None) -> Arm:
        """What a version answered and failed to answer."""
        rows = self._rows(version)
        calls = self._numpy(
            "SELECT any_value(milliseconds) AS ms FROM traffic WHERE version = ? GROUP BY request_id", [version]
        )["ms"]
        return Arm(
            version=version,
            threshold=0.5 if threshold is None else threshold,
            calls=len(calls),
            failures=self._failures(version),
            milliseconds=_known(calls),
            scores=np.asarray(np.ma.filled(rows["score"], np.nan), dtype=np.float64),
            places=self.places(rows["label"]),
            truth=self._truth(rows["truth"]),
            units=_texts(rows["unit"]),
            groups={name: _texts(rows[f"group{place}"]) for place, name in enumerate(self._grouped())},
        )

    def estimated(self, version: int, reference: Reference) -> dict[str, Estimate]:
        """The metrics that a version's answers promise, by what its holdout has taught about it."""
        columns = [column for column in self._model.features if f"in_{column.name}" in self._there]
        ((rows,),) = self._con.execute("SELECT count(*) FROM traffic WHERE version = ?", [version]).fetchall()
        found = self._numpy(
            f"SELECT {captured.chosen(reference, columns)} FROM traffic WHERE version = ?"  # noqa: S608
            f" ORDER BY hash(request_id, row) LIMIT {captured.ROWS}",
            [version],
        )
        return captured.estimated(reference, columns, found, rows)

    def silent(self, version: int, failures: int = 0) -> Arm:
        """A version that answered nothing."""
        return silent(version, failures=failures, groups=self._grouped())

    def whole(self, version: int, inputs: Sequence[Input]) -> tuple[dict[str, list[Value]], dict[str, Any], int]:
        """Rows of a version that can be put to a model again, [rows] by column; what was answered; how many cannot.

        A restricted value was captured as the number of its bin: a category's number names it, a range does not.
        """
        names = [f"in_{item.name}" for item in inputs]
        if missing := [name for name in names if name not in self._there]:
            raise LookupError(f"no caller sends {missing[0].removeprefix('in_')}")
        chosen = ", ".join(quoted(name) for name in names)
        found = self._con.execute(
            f"SELECT row, request_id, {chosen} FROM traffic WHERE version = ?"  # noqa: S608
            f" ORDER BY hash(request_id, row) LIMIT {_COMPARED}",
            [version],
        ).fetchall()
        columns: dict[str, list[Value]] = {item.name: [] for item in inputs}
        kept = []
        for row, request_id, *values in found:
            rebuilt = [_rebuilt(item, value) for item, value in zip(inputs, values, strict=True)]
            if _LOST in rebuilt:
                continue
            kept.append((request_id, row))
            for item, value in zip(inputs, rebuilt, strict=True):
                columns[item.name].append(value)
        return columns, self._answered(version, kept), len(found) - len(kept)

    def _answered(self, version: int, kept: Sequence[tuple[str, int]]) -> dict[str, Any]:
        """The captured answers of these rows, in their order."""
        rows = self._rows(version)
        place = {key: index for index, key in enumerate(zip(rows["request_id"], rows["row"].tolist(), strict=True))}
        order = np.array([place[key] for key in kept], dtype=np.int64)
        return {name: values[order] for name, values in rows.items()}

    def shadow(self, served: ServedModel, answered: Mapping[str, Any], found: tuple[Floats, Ints], ms: Floats) -> Arm:
        """An arm of answers that nobody got: the champion's rows as the challenger would have answered them."""
        scored, named = found
        well = np.isfinite(scored)
        calls = len(np.unique(answered["request_id"].astype(np.str_)))
        failed = len(np.unique(answered["request_id"].astype(np.str_)[~well]))
        return Arm(
            version=served.version,
            threshold=0.5 if served.threshold is None else served.threshold,
            calls=calls - failed,
            failures=failed,
            milliseconds=ms,
            scores=scored[well],
            places=named[well] if len(named) else named,
            truth=self._truth(answered["truth"])[well],
            units=_texts(answered["unit"])[well],
            groups={name: _texts(answered[f"group{place}"])[well] for place, name in enumerate(self._grouped())},
        )

    def _fetch(self, key: Callable[[str, date, str], str], start: datetime, end: datetime) -> str:
        """Bring the files of these days here that were written since the start; a list for the engine."""
        found: list[Path] = []
        day = start.date()
        while day <= end.date():
            found += [
                self._data.download(item, self._scratch / item.replace("/", "_"))
                for item in self._data.keys(key(self._model.id, day, ""), since=start)
            ]
            day += timedelta(days=1)
        return ", ".join(text(str(path)) for path in found)

    def _rows(self, version: int) -> dict[str, Any]:
        groups = "".join(
            f", CAST({quoted('in_' + name)} AS VARCHAR) AS group{place}" for place, name in enumerate(self._grouped())
        )
        return self._numpy(
            f"SELECT t.request_id, t.row, score, t.label, coalesce(unit, t.request_id) AS unit,"  # noqa: S608
            f" l.label AS truth{groups} FROM traffic t"
            " LEFT JOIN labels l ON t.request_id = l.request_id AND t.row = l.row"
            " WHERE version = ? ORDER BY t.request_id, t.row",
            [version],
        )

    def _failures(self, version: int) -> int:
        return int(self._con.execute("SELECT count(*) FROM failures WHERE version = ?", [version]).fetchall()[0][0])

    def _grouped(self) -> list[str]:
        return [limit.column for limit in self._model.spec.gate.fairness if f"in_{limit.column}" in self._there]

    def places(self, labels: Any) -> Ints:
        """The labels' places among the model's classes [rows]; empty for a regression."""
        if not self._model.classes:
            return np.empty(0, np.int64)
        number = {name: place for place, name in enumerate(self._model.classes)}
        return np.array([number.get(name, -1) for name in labels.tolist()], dtype=np.int64)

    def _truth(self, labels: Any) -> Floats:
        number = {name: float(place) for place, name in enumerate(self._model.classes)}
        listed = np.ma.filled(labels, "") if isinstance(labels, np.ma.MaskedArray) else labels
        return np.array([_number(value) if not number else number.get(value, np.nan) for value in listed.tolist()])

    def _numpy(self, query: str, parameters: list[Any]) -> dict[str, Any]:
        found: dict[str, Any] = self._con.execute(query, parameters).fetchnumpy()
        return found


def table(con: duckdb.DuckDBPyConnection, name: str, columns: Mapping[str, str], source: str) -> None:
    """A table of what a source holds; with these columns in any case, and empty where there is no source."""
    empty = ", ".join(f"NULL::{kind} AS {column}" for column, kind in columns.items())
    more = f" UNION ALL BY NAME SELECT * FROM {source}" if source else ""  # noqa: S608 - paths are ours
    con.execute(f"CREATE TABLE {name} AS SELECT {empty} WHERE false{more}")


def silent(version: int, *, calls: int = 0, failures: int = 0, groups: Sequence[str] = ()) -> Arm:
    """A version of whose answers nothing is known but their number."""
    texts, none = np.empty(0, np.str_), np.empty(0, np.int64)
    return Arm(version, 0.5, calls, failures, _EMPTY, _EMPTY, none, _EMPTY, texts, dict.fromkeys(groups, texts))


def _rebuilt(item: Input, value: Any) -> Any:
    if value is None:
        return None
    if not item.restricted:
        return _LOST if isinstance(value, str) and len(value) >= _LONGEST_VALUE else value
    if item.categories is None or value >= len(item.categories):
        return _LOST
    name = item.categories[value]
    return name == "true" if item.datatype == "BOOL" else name


def _known(values: Any) -> Floats:
    found = np.asarray(np.ma.filled(np.ma.asarray(values, dtype=np.float64), np.nan))
    return np.asarray(found[~np.isnan(found)])


def _texts(values: Any) -> Texts:
    filled = np.ma.filled(values, "(missing)") if isinstance(values, np.ma.MaskedArray) else values
    return np.array([str(value) for value in filled.tolist()], dtype=np.str_)


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")
