"""True answers that came after their predictions, over HTTPS or as files under `labels/<model>/`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from interlock import keys
from interlock.aws.objects import Objects
from interlock.models import DeployedModel
from interlock.sql import quoted, text
from interlock.windows import LabelCounts

_DAY = re.compile(r"/day=(\d{4}-\d{2}-\d{2})/")
_NEEDED = {"request_id", "label"}


@dataclass(frozen=True)
class Labels:
    """The table `labels` of a connection: one row a prediction with the label that was told last, and the groups."""

    counts: LabelCounts
    groups: tuple[str, ...] = ()


def fetch(data: Objects, model: str, since: date, scratch: Path) -> list[Path]:
    """Bring the label files here: those that came over HTTPS since a day, and all that were uploaded."""
    found = []
    for place, key in enumerate(data.keys(keys.label_files(model))):
        day = _DAY.search(key)
        if day is None or date.fromisoformat(day[1]) >= since:
            found.append(data.download(key, scratch / f"label-{place}{Path(key).suffix.lower()}"))
    return found


def read(con: duckdb.DuckDBPyConnection, files: Sequence[Path], model: DeployedModel) -> Labels:
    """Make the tables of labels that can be used; whatever cannot is counted."""
    wanted = sorted({limit.column for limit in model.spec.gate.fairness})
    extra = "".join(f", {quoted(name)} VARCHAR" for name in wanted)
    con.execute(f"CREATE TABLE told (request_id VARCHAR, row INTEGER, label VARCHAR, received VARCHAR{extra})")
    unreadable = sum(not _read(con, path, wanted) for path in files)
    allowed = _allowed(model)
    told, usable = con.execute(f"SELECT count(*), count(*) FILTER ({allowed}) FROM told").fetchall()[0]  # noqa: S608
    groups = "".join(f", arg_max({quoted(name)}, coalesce(received, '')) AS {quoted(name)}" for name in wanted)
    con.execute(
        f"CREATE TABLE labels AS SELECT request_id, row, arg_max(label, coalesce(received, '')) AS label,"  # noqa: S608
        f" count(DISTINCT label) > 1 AS contradicted, count(*) AS times{groups} FROM told WHERE {allowed} GROUP BY 1, 2"
    )
    ((distinct, contradicted),) = con.execute("SELECT count(*), count(*) FILTER (contradicted) FROM labels").fetchall()
    return Labels(
        LabelCounts(
            told=told,
            unusable=told - usable,
            repeated=usable - distinct,
            contradicted=contradicted,
            unreadable_files=unreadable,
        ),
        tuple(wanted),
    )


def _read(con: duckdb.DuckDBPyConnection, path: Path, wanted: Sequence[str]) -> bool:
    """Add a file to the table `told`; answers whether it is a file of labels at all."""
    listed = text(str(path))
    match path.suffix:
        case ".jsonl" | ".json" | ".ndjson":
            columns = {"request_id": "VARCHAR", "row": "INTEGER", "label": "VARCHAR", "received": "VARCHAR"}
            columns |= dict.fromkeys(wanted, "VARCHAR")
            declared = ", ".join(f"{quoted(name)}: '{kind}'" for name, kind in columns.items())
            source = f"read_json({listed}, format='newline_delimited', ignore_errors=true, columns={{{declared}}})"
        case ".parquet":
            source = f"read_parquet({listed})"
        case _:
            source = f"read_csv({listed}, header=true, all_varchar=true)"
    try:
        there = {name for name, *_ in con.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()}  # noqa: S608
        if not there >= _NEEDED:
            return False
        row = "coalesce(TRY_CAST(row AS INTEGER), 0)" if "row" in there else "0"
        received = "CAST(received AS VARCHAR)" if "received" in there else "NULL"
        extra = "".join(f", CAST({quoted(name)} AS VARCHAR)" if name in there else ", NULL" for name in wanted)
        con.execute(
            f"INSERT INTO told SELECT CAST(request_id AS VARCHAR), {row}, CAST(label AS VARCHAR), {received}{extra}"  # noqa: S608
            f" FROM {source} WHERE request_id IS NOT NULL"
        )
    except duckdb.Error:
        return False
    return True


def _allowed(model: DeployedModel) -> str:
    """Which labels are answers to the model's question, as an SQL condition."""
    if model.classes:
        return f"label IN ({', '.join(text(name) for name in model.classes)})"
    return "isfinite(TRY_CAST(label AS DOUBLE))"
