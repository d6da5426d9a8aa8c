"""The file of bad rows: read for people, and back to what was uploaded, byte for byte where nobody mended."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.quarantine.mending import bad_rows, joined, upload_of
from interlock.contract import ColumnType
from interlock.errors import InvalidRequest
from tests.unit.ingest.made import INTEGER, column, judged, model

BY = model(column("n", INTEGER), column("s"), column("a, b"))
HEADER = 'n,s,"a, b",y\n'


def quarantined(tmp_path: Path, body: bytes, by: Any = BY) -> bytes:
    """The engine's own file of bad rows for an upload."""
    return judged(body, by, tmp_path).files["bad_rows"].read_bytes()


def mended(tmp_path: Path, body: bytes) -> tuple[bytes, str, bool]:
    path = tmp_path / "mended"
    path.write_bytes(body)
    return upload_of(path)


BAD = [
    "x,plain,1,1",
    'x,"a ""quoted"" one",1,1',
    'x,"two\nlines",1,1',
    'x,"7,""type"",what looks like ours\n8,""type"",on its own line",1,1',
    "x,größe 测试,1,1",
    "x,,,1",
    "x, =cmd|' /C calc'!A0 ,1,1",
    "ragged,row",
]


def test_what_nobody_mended_is_what_came(tmp_path: Path) -> None:
    body = quarantined(tmp_path, (HEADER + "1,good,1,1\n" + "\n".join(BAD) + "\n2,good,1,1\n").encode())
    assert mended(tmp_path, body) == ((HEADER + "\n".join(BAD) + "\n").encode(), ".csv", True)


def test_rows_are_read_with_their_reasons(tmp_path: Path) -> None:
    rows = list(bad_rows(quarantined(tmp_path, (HEADER + "1,good,1,1\n" + "\n".join(BAD) + "\n").encode())))
    assert [row.row for row in rows] == list(range(2, 10))
    assert {row.reasons for row in rows} == {("n: type",), ("field_count",)}
    assert rows[0].values == {"n": "x", "s": "plain", "a, b": "1", "y": "1"}
    assert rows[2].values is not None
    assert rows[2].values["s"] == "two\nlines"
    assert (rows[-1].values, rows[-1].raw) == (None, "ragged,row")


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_the_files_own_delimiter_is_kept(tmp_path: Path, mark: str) -> None:
    body = f"n{mark}s{mark}'{mark}y\n".replace("'", '"a, b"') + mark.join(("x", "b", "c", "1")) + "\n"
    kept = quarantined(tmp_path, body.encode() + f"1{mark}b{mark}c{mark}1\n".encode())
    assert mended(tmp_path, kept)[0] == body.encode()


def test_line_ends_and_a_byte_order_mark(tmp_path: Path) -> None:
    body = (HEADER + "x,b,c,1\n1,good,c,1\n").replace("\n", "\r\n").encode()
    kept = quarantined(tmp_path, b"\xef\xbb\xbf" + body)
    spreadsheet = b"\xef\xbb\xbf" + kept.replace(b"\r", b"").replace(b"\n", b"\r\n")
    assert mended(tmp_path, spreadsheet)[0] == (HEADER + "x,b,c,1\n").replace("\n", "\r\n").encode()


def test_a_quote_left_open_does_not_take_the_next_row_along(tmp_path: Path) -> None:
    kept = quarantined(tmp_path, (HEADER + '1,"open,c,1\n2,b,c,1\nx,b,c,1\n').encode())
    rows = list(bad_rows(kept))
    assert [(row.row, row.reasons) for row in rows] == [(1, ("open_quote",)), (3, ("n: type",))]
    assert mended(tmp_path, kept)[0] == (HEADER + '1,"open,c,1\nx,b,c,1\n').encode()


def test_text_that_looks_like_our_columns_stays_text(tmp_path: Path) -> None:
    body = HEADER + 'x,"one\n7,rue de la Paix,Paris\nend",1,1\ny,an inch is 1",1,1\nz,a\rb,1,1\n'
    kept = quarantined(tmp_path, body.encode() + b"1,good,1,1\n")
    assert mended(tmp_path, kept)[0] == body.encode()
    found = list(bad_rows(kept))
    assert [row.row for row in found] == [1, 2, 3]
    assert [(row.values or {}).get("s") for row in found] == [
        *("one\n7,rue de la Paix,Paris\nend", 'an inch is 1"', "a\rb")
    ]


def test_a_spreadsheet_may_have_written_it(tmp_path: Path) -> None:
    """Read and written again by another program, a row mended, one added: what it says is kept."""
    kept = quarantined(tmp_path, (HEADER + "\n".join(BAD[:-1]) + "\n").encode())
    table = list(csv.reader(io.StringIO(kept.decode(), newline="")))
    table[1][2] = "5"
    table.append(["", "", "6", "added", "", "1"])
    out = io.StringIO(newline="")
    csv.writer(out).writerows(table)
    body, suffix, ours = mended(tmp_path, out.getvalue().encode())
    assert (suffix, ours) == (".csv", True)
    assert list(csv.reader(io.StringIO(body.decode(), newline=""))) == [row[2:] for row in table]


def test_without_our_columns_a_file_is_sent_as_it_is(tmp_path: Path) -> None:
    body = (HEADER + "1,b,c,1\n").encode()
    assert mended(tmp_path, body) == (body, ".csv", False)
    assert mended(tmp_path, gzip.compress(body)) == (body, ".csv", False)


def test_our_columns_in_the_wrong_place_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="are not the first two"):
        mended(tmp_path, b"n,interlock_row,interlock_reasons\n1,1,x\n")
    with pytest.raises(InvalidRequest, match="has no rows"):
        mended(tmp_path, b"interlock_row,interlock_reasons,n\n")
    with pytest.raises(InvalidRequest, match="does not begin with its number"):
        mended(tmp_path, b"interlock_row,interlock_reasons,n\nnonsense\n")


LINES = [
    {"n": "x", "s": 'a "quoted" one', "a, b": None, "y": 1},
    {"n": 1.5, "s": '", "interlock_row": 5, "', "y": 1.0},
    {"y": 1, "n": "größe", "s": "\\"},
]


def test_json_lines_keep_every_byte(tmp_path: Path) -> None:
    lines = [json.dumps(line, ensure_ascii=False).encode() for line in LINES]
    body = b"\n".join([b'{"n":12345678901234567890.10,"y":1}', *lines, b'{"n": 1, "y": 1}', b"{broken"]) + b"\n"
    kept = quarantined(tmp_path, body)
    wanted = body.replace(b'{"n": 1, "y": 1}\n', b"")
    again, suffix, ours = mended(tmp_path, kept)
    assert (suffix, ours) == (".jsonl", True)
    assert [json.loads(line) for line in again.splitlines()[:-1]] == [
        json.loads(line) for line in wanted.splitlines()[:-1]
    ]
    assert b"12345678901234567890.10" in again
    assert again.splitlines()[-1] == b"{broken"
    rows = list(bad_rows(kept))
    assert rows[1].values == {"n": "x", "s": 'a "quoted" one', "a, b": None, "y": "1"}
    assert (rows[-1].values, rows[-1].raw) == (None, "{broken")


@pytest.mark.parametrize(
    "line",
    ['{"n": 5, "interlock_row": 1, "interlock_reasons": "x; \\"y\\""}', '{"interlock_reasons":"","n": 5}', '{"n": 5}'],
)
def test_our_members_may_stand_anywhere(tmp_path: Path, line: str) -> None:
    assert json.loads(mended(tmp_path, line.encode())[0]) == {"n": 5}


def test_parquet_comes_back_as_csv(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    by = model(column("n", INTEGER, maximum=3), column("s"), column("d", ColumnType.DATE))
    duckdb.connect().execute(
        f"COPY (SELECT i AS n, 'a, \"' || i AS s, DATE '2024-02-29' AS d, 1.5 AS y FROM range(6) AS t(i)) TO '{path}'"
    )
    again, suffix, _ = mended(tmp_path, quarantined(tmp_path, path.read_bytes(), by))
    assert suffix == ".csv"
    answer = judged(again, by, tmp_path, "again")
    assert (answer.rows, answer.bad_rows) == (2, 2), "still bad, and nothing else is wrong with them"
    assert mended(tmp_path, path.read_bytes()) == (path.read_bytes(), ".parquet", False)


def test_the_files_of_a_set_are_mended_as_one(tmp_path: Path) -> None:
    first = quarantined(tmp_path, (HEADER + "x,a,1,1\n1,good,1,1\n").encode())
    (tmp_path / "b").mkdir()
    second = quarantined(tmp_path / "b", (HEADER + "1,good,1,1\n1,good,1,1\ny,b,1,1\n").encode())
    assert mended(tmp_path, joined([first, second]))[0] == (HEADER + "x,a,1,1\ny,b,1,1\n").encode()
    assert [row.row for row in bad_rows(joined([second, first]))] == [3, 1]
    lines = b'{"interlock_row": 1, "interlock_reasons": "n: type", "n": "x"}\n'
    assert len(list(bad_rows(joined([lines, lines])))) == 2
    with pytest.raises(InvalidRequest, match="not all the same columns"):
        joined([first, lines])


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=12)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=8))
def test_any_cells_survive_there_and_back(rows: list[tuple[str, str]]) -> None:
    """What the quarantine writes in front of whatever row comes off again."""
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerows(rows)
    text, lines = out.getvalue(), []
    for row in rows:
        one = io.StringIO(newline="")
        csv.writer(one, lineterminator="\n").writerow(row)
        lines.append(one.getvalue())
    body = "interlock_row,interlock_reasons,a,b\n"
    body += "".join(f'{number},"a: type; b: ""x""",{line}' for number, line in enumerate(lines, start=1))
    found = list(bad_rows(body.encode()))
    assert [row.values for row in found] == [{"a": a, "b": b} for a, b in rows]
    assert {row.reasons for row in found} == {("a: type", 'b: "x"')}
    assert text == "".join(lines)
