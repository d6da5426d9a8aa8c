"""Judges the quality rules about a file as a whole, and about it beside the datasets before.

`interlock.contract` says what such a rule does. Rules that allow none of the rows are no matter of this module: their
rows are bad, or listed.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ingest import rules
from ingest.engine import Judged
from ingest.findings import Problem
from ingest.judgement import Outcome
from interlock.contract import ColumnType, Contract, Limit, Metric, Operator, QualityRule, Severity, Unit
from interlock.figures import number
from interlock.records import CheckStatus
from interlock.sandbox import Answer, answer
from interlock.stats.drift.found import WindowDrift
from interlock.stats.profile import Profile

_SECONDS = {Unit.MINUTES: 60, Unit.HOURS: 3600, Unit.DAYS: 86_400}
_SPOKEN = {
    Operator.MUST_BE: "exactly {}",
    Operator.MUST_NOT_BE: "not {}",
    Operator.MUST_BE_GREATER_THAN: "more than {}",
    Operator.MUST_BE_GREATER_OR_EQUAL_TO: "at least {}",
    Operator.MUST_BE_LESS_THAN: "less than {}",
    Operator.MUST_BE_LESS_OR_EQUAL_TO: "at most {}",
    Operator.MUST_BE_BETWEEN: "between {} and {}",
    Operator.MUST_NOT_BE_BETWEEN: "not between {} and {}",
}


@dataclass(frozen=True)
class Before:
    """A dataset that was admitted before, with the profile of its good rows."""

    rows: int
    profile: Profile


@dataclass(frozen=True)
class Measured:
    """What the engine found out about a file.

    Attributes:
        rows: rows of the file, those that cannot be read included.
        counts: rows that violate a rule, by the id of each quality rule that counts rows (`QualityRule.by_row`).
        profile: of the good rows; None when there is none.
        answers: of the sql rules, by their id (see `answers`); those that are missing were not asked.
        uploaded_at: when the file came.
        drift: the good rows beside what the model was trained on; None when there is nothing to compare with.
    """

    rows: int
    counts: Mapping[str, int]
    profile: Profile | None
    answers: Mapping[str, Answer]
    uploaded_at: datetime
    drift: WindowDrift | None = None


def answers(contract: Contract, good_rows: Sequence[Path], *, memory_mb: int = 512) -> dict[str, Answer]:
    """The answers of the contract's sql rules over the Parquet files that hold the good rows."""
    return {
        rule.id: answer(rule.query, contract, good_rows, memory_mb=memory_mb)
        for rule in contract.quality
        if rule.query is not None
    }


def looks_back(contract: Contract) -> int:
    """How many of the last datasets the contract's rules look at."""
    looking = {Metric.ROW_COUNT_CHANGE, Metric.NEW_CATEGORIES}
    return max((rule.batches for rule in contract.quality if rule.metric in looking), default=0)


def settle(
    judged: Judged,
    contract: Contract,
    good_rows: Sequence[Path],
    before: Sequence[Before],
    uploaded_at: datetime,
    *,
    drift: WindowDrift | None = None,
    memory_mb: int = 512,
) -> tuple[Outcome, ...]:
    """Hold every rule about the file against what the engine found; one that fails joins the problems that reject it.

    Args:
        judged: the engine's answer; a file that could not be read is not judged further.
        contract: what it was judged by.
        good_rows: the Parquet files of its good rows; none when it is rejected already.
        before: the last admitted datasets, the newest first.
        uploaded_at: when the file came.
        drift: its good rows beside what the model was trained on.
        memory_mb: what a query may use.
    """
    if not judged.rows:
        return ()
    found = outcomes(
        contract,
        Measured(
            rows=judged.rows,
            counts=judged.counts,
            profile=judged.profile,
            answers=answers(contract, good_rows, memory_mb=memory_mb) if good_rows else {},
            uploaded_at=uploaded_at,
            drift=drift,
        ),
        before,
    )
    if rejecting := problems(contract, found):
        judged.problems += rejecting
        # Its good rows become no dataset.
        judged.train_rows = judged.holdout_rows = 0
    return found


def outcomes(contract: Contract, measured: Measured, before: Sequence[Before]) -> tuple[Outcome, ...]:
    """Every rule about the file held against what was found, in the contract's order.

    Args:
        contract: its quality rules.
        measured: the file.
        before: the last admitted datasets, the newest first; as many as the rules look at, or fewer.
    """
    return tuple(
        _outcome(rule, _measure(rule, contract, measured, before[: rule.batches]))
        for rule in contract.quality
        if not rule.allows_none
    )


def problems(contract: Contract, found: Iterable[Outcome]) -> list[Problem]:
    """What rejects the file: the outcomes that fail."""
    metrics = {rule.id: rule.metric for rule in contract.quality}
    return [
        Problem(
            rule=outcome.rule,
            found=f"{outcome.name}: {outcome.found}" + (f"; allowed: {outcome.limit}" if outcome.limit else ""),
            condition=rules.OF_THE_FILE[metrics[outcome.rule]].condition,
            remedy=outcome.remedy,
        )
        for outcome in found
        if outcome.status is CheckStatus.FAIL
    ]


@dataclass(frozen=True)
class _Value:
    """A metric's value in its rule's unit and in words; None when there is none, `comparable` when that is no fault."""

    value: float | None
    found: str
    comparable: bool = True
    hidden: bool = False


def _outcome(rule: QualityRule, measured: _Value) -> Outcome:
    if not measured.comparable:
        status = CheckStatus.TOO_FEW
    elif measured.value is not None and rule.holds(measured.value):
        status = CheckStatus.PASS
    else:
        status = CheckStatus.FAIL if rule.severity is Severity.ERROR else CheckStatus.WARN
    return Outcome(
        rule=rule.id,
        name=rule.name or _name(rule),
        columns=rule.columns,
        status=status,
        value=None if measured.hidden else measured.value,
        found=measured.found,
        limit=" and ".join(_limit(limit, rule.unit, rule.metric) for limit in rule.limits),
        remedy=rules.OF_THE_FILE[rule.metric].remedy,
    )


def _measure(rule: QualityRule, contract: Contract, measured: Measured, before: Sequence[Before]) -> _Value:
    match rule.metric:
        case Metric.ROW_COUNT:
            return _Value(measured.rows, f"{measured.rows:,} rows")
        case Metric.SQL:
            return _answered(measured.answers.get(rule.id))
        case Metric.FRESHNESS:
            return _freshness(rule, contract, measured)
        case Metric.ROW_COUNT_CHANGE:
            return _change(rule, measured.rows, before)
        case Metric.NEW_CATEGORIES:
            return _new_categories(rule, measured.profile, before)
        case Metric.DRIFTED_COLUMNS:
            return _drifted(rule, measured.drift)
        case _:
            count = measured.counts[rule.id]
            share = 100 * count / measured.rows if measured.rows else 0.0
            value = share if rule.unit is Unit.PERCENT else count
            return _Value(value, f"{count:,} of {measured.rows:,} rows ({number(share)}%) {_offence(rule)}")


def _answered(found: Answer | None) -> _Value:
    if found is None:
        return _Value(None, "not asked, for the upload is rejected and none of its rows is kept", comparable=False)
    if found.hidden:
        return _Value(found.value, found.problem or "not shown, for the query reads a restricted column", hidden=True)
    return _Value(found.value, found.problem or number(found.value))


def _freshness(rule: QualityRule, contract: Contract, measured: Measured) -> _Value:
    (name,) = rule.columns
    profile = measured.profile.numbers.get(name) if measured.profile else None
    if profile is None or profile.maximum is None:
        return _Value(None, f"no row has a {name}")
    scale = 86_400 if contract.column(name).type is ColumnType.DATE else 1
    age = measured.uploaded_at.timestamp() - profile.maximum * scale
    value = age / _SECONDS[rule.unit]
    newest = _moment(profile.maximum * scale, contract.column(name).type)
    return _Value(value, f"the newest {name} is {newest}, {number(abs(value))} {rule.unit} {_side(value)} the upload")


def _change(rule: QualityRule, rows: int, before: Sequence[Before]) -> _Value:
    if not before:
        return _Value(None, "there is no dataset before to compare with", comparable=False)
    usual = statistics.median(dataset.rows for dataset in before)
    value = rows - usual if rule.unit is Unit.ROWS else 100 * (rows - usual) / usual
    past = f"the median of the last {len(before)} datasets" if len(before) > 1 else "the dataset before"
    found = f"{rows:,} rows, {number(abs(value))}{_UNIT[rule.unit]} {'more' if value > 0 else 'fewer'} than {past}"
    return _Value(value, f"{found} ({usual:,.10g})" if value else f"{rows:,} rows, as {past}")


def _new_categories(rule: QualityRule, profile: Profile | None, before: Sequence[Before]) -> _Value:
    (name,) = rule.columns
    now = profile.texts.get(name) if profile else None
    past = [found for dataset in before if (found := dataset.profile.texts.get(name)) is not None]
    if profile is None or now is None:
        return _Value(None, f"no row has a {name}")
    if not past:
        return _Value(None, "there is no dataset before to compare with", comparable=False)
    if now.other or any(found.other for found in past):
        return _Value(None, f"{name} has too many different values to know them all", comparable=False)
    known = {category for found in past for category in found.categories}
    count = sum(rows for category, rows in now.categories.items() if category not in known)
    share = 100 * count / profile.rows if profile.rows else 0.0
    value = share if rule.unit is Unit.PERCENT else count
    return _Value(value, f"{count:,} of {profile.rows:,} good rows ({number(share)}%) have a {name} never seen before")


def _drifted(rule: QualityRule, drift: WindowDrift | None) -> _Value:
    if drift is None:
        return _Value(None, "nothing has been trained yet to compare with", comparable=False)
    if drift.state == "too_few":
        return _Value(None, f"{drift.rows:,} good rows are too few to judge", comparable=False)
    names, every = drift.drifted, len(drift.columns)
    value = 100 * len(names) / every if rule.unit is Unit.PERCENT else len(names)
    which = f": {', '.join(names)}" if names else ""
    return _Value(value, f"{len(names)} of {every} columns have drifted from the training data{which}")


_UNIT = {Unit.PERCENT: "%", Unit.ROWS: " rows", **{unit: f" {unit}" for unit in _SECONDS}}


def _limit(limit: Limit, unit: Unit, metric: Metric) -> str:
    bare = metric is Metric.SQL or (metric is Metric.DRIFTED_COLUMNS and unit is Unit.ROWS)
    suffix = "" if bare else _UNIT[unit]
    return _SPOKEN[limit.operator].format(*map(number, limit.value)) + suffix


def _offence(rule: QualityRule) -> str:
    named = " and ".join(rule.columns)
    match rule.metric:
        case Metric.NULL_VALUES | Metric.MISSING_VALUES:
            return f"have no {named}"
        case Metric.DUPLICATE_VALUES:
            return f"repeat the {named} of an earlier row"
        case Metric.COMPARE:
            return f"have a {rule.columns[0]} that is not {rule.relation} {rule.columns[1]}"
        case _:
            return f"have a {named} that is not valid"


def _name(rule: QualityRule) -> str:
    spoken = {
        Metric.NULL_VALUES: "missing values",
        Metric.MISSING_VALUES: "missing values",
        Metric.INVALID_VALUES: "invalid values",
        Metric.DUPLICATE_VALUES: "repeated values",
        Metric.ROW_COUNT: "number of rows",
        Metric.SQL: "query",
        Metric.COMPARE: "comparison",
        Metric.FRESHNESS: "freshness",
        Metric.ROW_COUNT_CHANGE: "change of the number of rows",
        Metric.NEW_CATEGORIES: "new categories",
        Metric.DRIFTED_COLUMNS: "drift from the training data",
    }[rule.metric]
    return f"{spoken} of {', '.join(rule.columns)}" if rule.columns else spoken


def _side(age: float) -> str:
    return "before" if age >= 0 else "after"


def _moment(seconds: float, kind: ColumnType) -> str:
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return "beyond every calendar"
    return f"{moment:%Y-%m-%d}" if kind is ColumnType.DATE else f"{moment:%Y-%m-%d %H:%M} UTC"
