"""A text file's rows equal those of a reader that looks at one character after the other."""

from __future__ import annotations

import tempfile
from pathlib import Path

import duckdb
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ingest import records as module
from ingest import rules
from ingest.source import Source, open_source
from ingest.streams import LocalFile
from interlock.contract import Contract
from tests.unit.ingest.made import column

CONTRACT = Contract(id="two", version="1", columns=(column("a"), column("b")), null_tokens=())
PIECES = ["x", "y", '"', '"', ",", ",", ",", "\n", "\n", "\r", "\r\n", " ", "é"]
Row = tuple[str, str] | str


def plain_reader(body: str, mark: str, fields: int) -> list[tuple[int, Row]]:
    """(line, values or the rule that is violated) of each record; slow and simple."""
    found: list[tuple[int, Row]] = []
    position, line = 0, 1
    while position < len(body):
        end_of_line = body.find("\n", position) if "\n" in body[position:] else len(body)
        values, end = _values(body, position, mark)
        torn = end is not None and end > end_of_line and len(values) != fields
        if end is None or torn:
            end, row = end_of_line, rules.OPEN_QUOTE.id
        else:
            row = rules.FIELD_COUNT.id if len(values) != fields else tuple(values)  # type: ignore[assignment]
        if body[position:end] not in {"", "\r"}:
            found.append((line, row))
        line += body[position : end + 1].count("\n")
        position = end + 1
    return found


def _values(body: str, position: int, mark: str) -> tuple[list[str], int | None]:
    values: list[str] = []

    def over(at: int) -> bool:
        return at == len(body) or body[at] == "\n" or body[at : at + 2] == "\r\n" or body[at:] == "\r"

    while True:
        value = ""
        if body[position : position + 1] == '"':
            position += 1
            while True:
                if position == len(body):
                    return values, None
                if body[position] != '"':
                    value += body[position]
                elif body[position + 1 : position + 2] == '"':
                    value += '"'
                    position += 1
                else:
                    break
                position += 1
            position += 1
            if not over(position) and body[position] != mark:
                return values, None
        else:
            while not over(position) and body[position] != mark:
                value += body[position]
                position += 1
        values.append(value)
        if over(position):
            newline = body.find("\n", position)
            return values, len(body) if newline < 0 or position == len(body) else newline
        position += 1


@settings(max_examples=200, deadline=None)
@given(
    body=st.lists(st.sampled_from(PIECES), max_size=40).map("".join),
    header=st.sampled_from(["a,b\n", "a,b\r\n", "b,a\n", "\ufeffa,b\n", '"a",b\n']),
    block=st.sampled_from([3, 7, 8 << 20]),
)
@example(body='5" pipe,3\n6" pipe,4\n', header="a,b\n", block=8 << 20)
@example(body='x,"y\nz\n', header="a,b\n", block=8 << 20)
@example(body='x,"y\nz,"\nu,v\n', header="a,b\n", block=8 << 20)
@example(body='"x\r\ny",""\r\n', header="a,b\r\n", block=8 << 20)
@example(body="x,y\r\nu,v\r\n", header="a,b\r\n", block=8 << 20)
@example(body="x,y\ru,v\n", header="a,b\n", block=8 << 20)
@example(body="x,y\r\r\n", header="a,b\n", block=8 << 20)
@example(body='"x\ny"\nu,v\n', header="a,b\n", block=8 << 20)
@example(body='"y"x,y\nu,v\n', header="a,b\n", block=8 << 20)
def test_rows_are_those_of_a_plain_reader(body: str, header: str, block: int) -> None:
    expected = plain_reader((header + body).removeprefix("\ufeff"), ",", 2)[1:]
    names = header.strip().replace('"', "").removeprefix("\ufeff").split(",")
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch, duckdb.connect() as con:
        patch.setattr(module, "_BLOCK", block)
        path = Path(folder) / "upload"
        path.write_bytes((header + body).encode())
        source = open_source(con, LocalFile(path), CONTRACT, Path(folder))
        lines, malformed, found = read(con, source)
    assert lines == [line for line, _ in expected]
    assert {row: item for row, (_, item) in enumerate(expected, 1) if isinstance(item, str)} == malformed
    assert found == {
        row: [item[names.index(name)] for name in ("a", "b")]
        for row, (_, item) in enumerate(expected, 1)
        if not isinstance(item, str)
    }


def read(con: duckdb.DuckDBPyConnection, source: Source) -> tuple[list[int], dict[int, str], dict[int, list[str]]]:
    """(line of every record), (rule of every malformed row), (values of every other), rows counted from 1."""
    lines: list[int] = []
    malformed: dict[int, str] = {}
    found: dict[int, list[str]] = {}
    row, line = 1, 2
    for reader in source.readers:
        table = reader(con)
        lines += (table.lines_of(np.arange(table.records)) + line).tolist()
        malformed |= {row + item.place: item.rule.id for item in table.malformed}
        values = con.execute(f"SELECT nth, r0, r1 FROM {table.relation(['r0', 'r1'])} ORDER BY nth").fetchall()
        found |= {row + int(table.places[nth]): rest for nth, *rest in values}
        row, line = row + table.records, line + (table.lines or 0)
    return lines, malformed, found


def test_bytes_that_are_not_utf8_are_one_rows_fault(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_bytes(b"a,b\n1,M\xfcnchen\n2,K\xc3\xb6ln\n3,\xe9t\xe9\n4,x\n")
    with duckdb.connect() as con:
        lines, malformed, found = read(con, open_source(con, LocalFile(path), CONTRACT, tmp_path))
    assert malformed == {1: rules.ENCODING.id, 3: rules.ENCODING.id}
    assert lines == [2, 3, 4, 5]
    assert found == {2: ["2", "Köln"], 4: ["4", "x"]}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_rows_lines_and_values_hold_over_many_blocks(tmp_path: Path, end: str) -> None:
    path = tmp_path / "upload"
    # A quoted line break now and then, and a quote that stands where none belongs in the middle of the file.
    rows = 400_000
    values = ("v\nw" if i % 999 == 0 else "x" * (i % 30) for i in range(1, rows + 1))
    body = "".join(f'{i},"{value}"{end}' if i != 200_000 else f'{i},5" x{end}' for i, value in enumerate(values, 1))
    path.write_bytes(f"a,b{end}{body}".encode())
    with duckdb.connect(config={"threads": 1}) as con:
        lines, malformed, found = read(con, open_source(con, LocalFile(path), CONTRACT, tmp_path))
    assert not malformed
    assert all(str(row) == value[0] for row, value in found.items())
    assert found[200_000][1] == '5" x'
    assert found[999][1] == "v\nw"
    assert (len(lines), lines[-1]) == (rows, rows + 1 + rows // 999)
