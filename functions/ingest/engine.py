"""Judges a file against a contract in one pass: every violation, the good rows, the bad rows, the profile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from ingest import rules
from ingest.checks import Check, checks, repeated, typed
from ingest.judgement import Example, Finding, Problem
from ingest.profiling import profile
from ingest.quarantine import line, shown, write_bad_rows, write_violations
from ingest.records import Malformed
from ingest.source import Source, WholeFile, open_source
from interlock.contract import Severity
from interlock.holdout import held_out
from interlock.models import DeployedModel
from interlock.sql import quoted, text
from interlock.stats.profile import Profile

_EXAMPLES = 5


@dataclass
class Judged:
    """The engine's answer. Files lie in the scratch folder under their names.

    `counts` are the violations of the contract's quality rules by their ids.
    """

    kind: str
    rows: int = 0
    bad_rows: int = 0
    train_rows: int = 0
    holdout_rows: int = 0
    problems: list[Problem] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    profile: Profile | None = None
    files: dict[str, Path] = field(default_factory=dict)

    @property
    def admitted(self) -> bool:
        """Whether the good rows become a dataset."""
        return not self.problems


def judge(path: Path, model: DeployedModel, scratch: Path, *, memory_mb: int = 2048, threads: int = 2) -> Judged:
    """Judge an upload.

    Args:
        path: the file as it was uploaded.
        model: its contract, target and holdout.
        scratch: an empty folder for the files of the answer.
        memory_mb: what the engine may use.
        threads: how many cores it may use.
    """
    with duckdb.connect(
        config={
            "memory_limit": f"{memory_mb}MB",
            "threads": threads,
            "temp_directory": str(scratch / "spill"),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
    ) as con:
        # A moment without a zone is UTC, wherever this runs.
        con.execute("SET TimeZone = 'UTC'")
        try:
            source = open_source(con, path, model.contract, scratch)
        except WholeFile as reason:
            return Judged(kind="unknown", problems=[_problem(reason.rule, reason.found)])
        return _judged(con, source, model, scratch)


def _judged(con: duckdb.DuckDBPyConnection, source: Source, model: DeployedModel, scratch: Path) -> Judged:
    judged = Judged(kind=source.kind, rows=source.rows)
    every = _violations(con, model)
    judged.findings = [*_malformed(source.malformed), *_findings(con, model, every, source)]
    judged.bad_rows = len(source.malformed) + _count(con, "FROM judged WHERE bad")
    judged.problems = _whole(judged, model)
    if judged.findings:
        judged.files["violations"] = write_violations(con, model, every, source, scratch / "violations.csv")
    if judged.bad_rows:
        judged.files["bad_rows"] = write_bad_rows(con, model.contract, every, source, scratch)
    good = judged.rows - judged.bad_rows
    judged.profile = profile(con, model.contract, "(FROM judged WHERE NOT bad)", good, model.spec.holdout.key)
    if judged.admitted:
        _write_good_rows(con, model, judged, scratch)
    return judged


def _violations(con: duckdb.DuckDBPyConnection, model: DeployedModel) -> list[Check]:
    """Fill `judged` (row, ri, vi, bad) and `violated` (row, number of the check); answers the checks by number."""
    contract = model.contract
    single, others = checks(contract), repeated(contract)
    every = [*single, *others]
    values = ", ".join(f"{typed(index, column)} AS v{index}" for index, column in enumerate(contract.columns))
    listed = ", ".join(f"CASE WHEN {check.condition} THEN {number} END" for number, check in enumerate(single))
    con.execute(
        f"CREATE TABLE typed AS SELECT *, list_filter([{listed or 'NULL'}], lambda x: x IS NOT NULL)::INT[] AS failed"  # noqa: S608
        f" FROM (SELECT *, {values} FROM raw)"
    )
    con.execute("CREATE TABLE violated AS SELECT row, unnest(failed) AS number FROM typed WHERE len(failed) > 0")
    for number, check in enumerate(others, start=len(single)):
        there = " AND ".join(f"{key} IS NOT NULL" for key in check.condition.split(", "))
        con.execute(
            f"INSERT INTO violated SELECT row, {number} FROM (SELECT row, row_number() OVER"  # noqa: S608
            f" (PARTITION BY {check.condition} ORDER BY row) AS nth FROM typed WHERE {there}) WHERE nth > 1"
        )
    errors = [str(number) for number, check in enumerate(every) if check.severity is Severity.ERROR]
    con.execute(
        "CREATE TABLE judged AS SELECT typed.* EXCLUDE (failed), wrong.row IS NOT NULL AS bad FROM typed LEFT JOIN"  # noqa: S608
        f" (SELECT DISTINCT row FROM violated WHERE number IN ({', '.join(errors) or '-1'})) AS wrong USING (row)"
    )
    con.execute("DROP TABLE typed")
    return every


def _findings(
    con: duckdb.DuckDBPyConnection, model: DeployedModel, every: list[Check], source: Source
) -> Iterator[Finding]:
    counts = con.execute("SELECT number, count(*) FROM violated GROUP BY 1 ORDER BY 1").fetchall()
    for number, count in counts:
        check = every[number]
        column = "NULL" if check.index is None else f"r{check.index}"
        first = con.execute(
            f"SELECT row, {column} FROM violated JOIN judged USING (row) WHERE number = {number}"  # noqa: S608
            f" ORDER BY row LIMIT {_EXAMPLES}"
        ).fetchall()
        examples = (
            Example(row=row, line=line(source, row), value=shown(value, check.column, model)) for row, value in first
        )
        yield Finding(
            rule=check.rule.id,
            column=check.column.name if check.column else None,
            severity=check.severity,
            count=count,
            condition=check.rule.condition,
            remedy=check.rule.remedy,
            examples=tuple(examples),
        )


def _malformed(found: list[Malformed]) -> Iterator[Finding]:
    for rule in (rules.FIELD_COUNT, rules.OPEN_QUOTE, rules.ENCODING, rules.JSON):
        if mine := [item for item in found if item.rule is rule]:
            yield Finding(
                rule=rule.id,
                column=None,
                severity=Severity.ERROR,
                count=len(mine),
                condition=rule.condition,
                remedy=rule.remedy,
                # What was found, not the text: it may hold a restricted value in any place.
                examples=tuple(Example(row=item.row, line=item.line, value=item.found) for item in mine[:_EXAMPLES]),
            )


def _whole(judged: Judged, model: DeployedModel) -> list[Problem]:
    contract, problems = model.contract, []
    if judged.rows < contract.min_rows or (contract.max_rows is not None and judged.rows > contract.max_rows):
        allowed = f"at least {contract.min_rows}" + (f", at most {contract.max_rows}" if contract.max_rows else "")
        problems.append(_problem(rules.ROW_COUNT, f"{judged.rows} rows; allowed: {allowed}"))
    share = judged.bad_rows / judged.rows
    if share > contract.max_bad_row_share or judged.bad_rows == judged.rows:
        found = (
            f"{judged.bad_rows} of {judged.rows} rows are bad ({share:.1%}); allowed: {contract.max_bad_row_share:.1%}"
        )
        problems.append(_problem(rules.BAD_ROW_SHARE, found))
    return problems


def _problem(rule: rules.Rule, found: str) -> Problem:
    return Problem(rule=rule.id, found=found, condition=rule.condition, remedy=rule.remedy)


def _write_good_rows(con: duckdb.DuckDBPyConnection, model: DeployedModel, judged: Judged, scratch: Path) -> None:
    named = ", ".join(f"v{index} AS {quoted(name)}" for index, name in enumerate(model.contract.names))
    con.execute(
        f"CREATE TABLE good AS SELECT *, {held_out(model)} AS interlock_held_out FROM"  # noqa: S608
        f" (SELECT row AS interlock_row, {named} FROM judged WHERE NOT bad)"
    )
    for name, condition in (("train", "NOT interlock_held_out"), ("holdout", "interlock_held_out")):
        target = scratch / f"{name}.parquet"
        con.execute(
            "COPY (SELECT * EXCLUDE (interlock_row, interlock_held_out) FROM good"  # noqa: S608
            f" WHERE {condition} ORDER BY interlock_row) TO {text(str(target))} (FORMAT parquet, COMPRESSION zstd)"
        )
        judged.files[name] = target
    judged.holdout_rows = _count(con, "FROM good WHERE interlock_held_out")
    judged.train_rows = judged.rows - judged.bad_rows - judged.holdout_rows


def _count(con: duckdb.DuckDBPyConnection, rows: str) -> int:
    answer = con.execute(f"SELECT count(*) {rows}").fetchone()
    return int(answer[0]) if answer else 0
