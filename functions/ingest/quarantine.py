"""The files about what is wrong: the bad rows as they came with their reasons, and the list of every violation.

A bad row is kept byte for byte, because it is mended and sent again: a cell that a spreadsheet would run as a formula
is still one, and a restricted value is still readable; the bucket is as closed as for the upload itself. The list of
violations is for reading: it masks restricted values, and writes such a cell as text.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb

from ingest.checks import Check
from ingest.profiling import masked
from ingest.records import opened
from ingest.source import Source
from interlock.cells import harmless
from interlock.contract import Column, Contract, Severity
from interlock.models import DeployedModel

_LONGEST_SHOWN = 200


def write_violations(
    con: duckdb.DuckDBPyConnection, model: DeployedModel, every: list[Check], source: Source, target: Path
) -> Path:
    """Every violation, complete, as CSV."""
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["row", "line", "column", "rule", "severity", "value"])
        for item in source.malformed:
            writer.writerow([item.row, item.line, "", item.rule.id, Severity.ERROR, item.found])
        for number, check in enumerate(every):
            value = "NULL" if check.index is None else f"r{check.index}"
            rows = con.execute(
                f"SELECT row, {value} FROM violated JOIN judged USING (row) WHERE number = {number} ORDER BY row"  # noqa: S608
            )
            name = check.column.name if check.column else ""
            while batch := rows.fetchmany(10_000):
                for row, text in batch:
                    cell = harmless(shown(text, check.column, model) or "")
                    writer.writerow([row, line(source, row), name, check.rule.id, check.severity, cell])
    return target


def write_bad_rows(
    con: duckdb.DuckDBPyConnection, contract: Contract, every: list[Check], source: Source, folder: Path
) -> Path:
    """The bad rows with their number and reasons in front: mend them, drop these two columns, send them again.

    CSV as CSV with its own delimiter, JSON Lines as JSON Lines, and Parquet's as CSV.
    """
    reasons: dict[int, list[str]] = {item.row: [item.rule.id] for item in source.malformed}
    for row, number in con.execute("SELECT row, number FROM violated ORDER BY row, number").fetchall():
        if (check := every[number]).severity is Severity.ERROR:
            name = f"{check.column.name}: " if check.column else ""
            reasons.setdefault(row, []).append(f"{name}{check.rule.id}")
    lines = _json_lines if source.kind == "JSON Lines" else _csv_lines
    target = folder / ("bad-rows.jsonl" if source.kind == "JSON Lines" else "bad-rows.csv")
    with target.open("wb") as file:
        file.writelines(lines(con, contract, source, {row: reasons[row] for row in sorted(reasons)}))
    return target


def _csv_lines(
    con: duckdb.DuckDBPyConnection, contract: Contract, source: Source, reasons: dict[int, list[str]]
) -> Iterator[bytes]:
    mark = source.delimiter
    header = source.header or _csv_line(contract.names).encode()
    yield f"interlock_row{mark}interlock_reasons{mark}".encode() + header + b"\n"
    for row, raw in _rows(con, contract, source, reasons):
        why = _csv_line(["; ".join(reasons[row])])
        yield f"{row}{mark}{why}{mark}".encode() + raw + b"\n"


def _json_lines(
    con: duckdb.DuckDBPyConnection, contract: Contract, source: Source, reasons: dict[int, list[str]]
) -> Iterator[bytes]:
    malformed = {item.row for item in source.malformed}
    for row, raw in _rows(con, contract, source, reasons):
        about = {"interlock_row": row, "interlock_reasons": "; ".join(reasons[row])}
        if row in malformed:
            yield json.dumps({**about, "interlock_line": raw.decode("utf-8", "backslashreplace")}).encode() + b"\n"
        else:
            members = raw.strip().removeprefix(b"{").lstrip()
            yield json.dumps(about)[:-1].encode() + (b"" if members == b"}" else b", ") + members + b"\n"


def _rows(
    con: duckdb.DuckDBPyConnection, contract: Contract, source: Source, wanted: dict[int, list[str]]
) -> Iterator[tuple[int, bytes]]:
    """Rows as they came: the file's own bytes, or Parquet's values as CSV."""
    if source.records is None:
        columns = ", ".join(f"r{index}" for index in range(len(contract.columns)))
        for row, *values in con.execute(f"SELECT row, {columns} FROM judged WHERE bad ORDER BY row").fetchall():  # noqa: S608
            yield row, _csv_line(values).encode()
        return
    starts, ends = source.records.starts, source.records.ends
    with opened(source.path) as data:
        for row in wanted:
            yield row, data[starts[row - 1] : ends[row - 1]].removesuffix(b"\r")


def shown(value: str | None, column: Column | None, model: DeployedModel) -> str | None:
    """A value as a report may show it."""
    if value is None or column is None:
        return None
    return masked(value, model.spec.holdout.key) if column.restricted else value[:_LONGEST_SHOWN]


def line(source: Source, row: int) -> int | None:
    """The line of a text file on which a row begins."""
    return int(source.records.lines[row - 1]) if source.records is not None else None


def _csv_line(values: Sequence[str | None]) -> str:
    return ",".join('"' + value.replace('"', '""') + '"' if value is not None else "" for value in values)
