"""Every shape of a bad file: a clear message, and nothing lost."""

from __future__ import annotations

import gzip
import json
import sys
import zipfile
from pathlib import Path

import duckdb
import pytest

from ingest import rules
from ingest.streams import refused
from interlock.contract import ColumnType, Dialect
from interlock.database import damaged
from tests.unit.ingest.made import INTEGER, NUMBER, column, found, judged, model, problems, rows

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

BY = model(column("n", INTEGER, required=True), column("s"))
GOOD = b"n,s,y\n1,a,1\n2,b,2\n3,c,3\n"


def parquet(folder: Path, query: str) -> bytes:
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'Europe/Berlin'")
        con.execute(f"COPY ({query}) TO '{folder}/made.parquet' (FORMAT parquet)")
    return (folder / "made.parquet").read_bytes()


def packed(body: bytes) -> bytes:
    return gzip.compress(body, mtime=0)


@pytest.mark.parametrize(
    ("body", "rule", "said"),
    [
        (b"", rules.EMPTY, "0 bytes"),
        (packed(b""), rules.EMPTY, "unpacked file has 0 bytes"),
        (b"n,s,y\n", rules.EMPTY, "a header and no rows"),
        (b"n,s,y", rules.EMPTY, "a header and no rows"),
        (b"n,s,y\n\n\r\n", rules.EMPTY, "a header and no rows"),
        (b"n,y\n1,1\n", rules.MISSING_COLUMN, "missing: s; the file has: n, y"),
        (b"n,s,y,z\n1,a,1,1\n", rules.UNKNOWN_COLUMN, "not in the contract: z"),
        (b"n,s,y,s\n1,a,1,b\n", rules.DUPLICATED_COLUMN, "twice in the header: s"),
        (b"1,a,1\n2,b,2\n", rules.MISSING_COLUMN, "is the header missing?"),
        (b"n,s,y\r1,a,1\r2,b,2\r", rules.UNREADABLE, "carriage returns alone"),
        (b"n" * 300_000, rules.MISSING_COLUMN, "the first line holds 1 fields"),
        (b"n, s ,,y\n1,a,1,1\n", rules.MISSING_COLUMN, "missing: s; the file has: n, ' s ', '', y"),
        (b"N,S,Y\n1,a,1\n", rules.MISSING_COLUMN, "missing: n, s, y; the file has: N, S, Y"),
        (b"n,s,y,\n1,a,1,\n", rules.UNKNOWN_COLUMN, "not in the contract: ''"),
        (b"n,stra\xdfe,y\n1,a,1\n", rules.UNREADABLE, "the header is not UTF-8"),
        (GOOD.decode().encode("utf-16-le"), rules.UNREADABLE, "UTF-16"),
        (packed(GOOD)[:-5], rules.UNREADABLE, "the gzip stream is cut off"),
        (packed(GOOD)[:12] + b"\xff" * 20, rules.UNREADABLE, "the gzip stream is"),
        (packed(GOOD) + b"rest", rules.UNREADABLE, "the gzip stream is damaged"),
        (packed(b"n,s,y\n" + b"1,a,1\n" * 8_000_000), rules.TOO_LARGE, "200 times its size, as a bomb does"),
        (b"PAR1nothing", rules.UNREADABLE, "like Parquet and is cut off or damaged"),
        (b"PK\x03\x04....", rules.UNREADABLE, "ZIP archive or an Excel workbook"),
        (b'[{"n": 1}]', rules.UNREADABLE, "one JSON array, not JSON Lines"),
        (b'{"n": 1, "s": "a", "y": 1, "z": 2}\n', rules.UNKNOWN_COLUMN, "not in the contract: z"),
        (b'{"s": "a", "y": 1}\n', rules.MISSING_COLUMN, "missing: n"),
        (b"n,s,y\n1," + b"x" * 16_000_001 + b",1\n", rules.TOO_LARGE, "one row has 16 MB"),
    ],
)
def test_a_file_that_cannot_be_judged_is_refused_with_the_reason(
    tmp_path: Path, body: bytes, rule: rules.Rule, said: str
) -> None:
    answer = judged(body, BY, tmp_path)
    assert problems(answer) == [rule.id]
    assert said in answer.problems[0].found
    assert answer.problems[0].remedy == rule.remedy
    assert not answer.admitted


def test_a_parquet_file_named_csv_is_judged_as_parquet(tmp_path: Path) -> None:
    body = parquet(tmp_path, "SELECT 1::INT AS n, 'a' AS s, 1.5 AS y UNION ALL SELECT NULL, 'b', 2.5")
    answer = judged(body, BY, tmp_path, "people.csv")
    assert answer.kind == "Parquet"
    assert found(answer) == {("required", "n"): [2]}
    assert (
        answer.files["bad_rows"].read_text()
        == 'interlock_row,interlock_reasons,"n","s","y"\n2,"n: required",,"b","2.5"\n'
    )
    # The same, packed.
    assert judged(gzip.compress(body), BY, tmp_path, "people.csv.gz").kind == "Parquet"


def test_a_csv_file_named_parquet_is_judged_as_csv(tmp_path: Path) -> None:
    assert judged(GOOD, BY, tmp_path, "people.parquet").kind == "CSV"


def test_truncated_and_nested_parquet_is_refused(tmp_path: Path) -> None:
    body = parquet(tmp_path, "SELECT i AS n, 'a' || i AS s, i AS y FROM range(1000) AS t(i)")
    assert problems(judged(body[:-100], BY, tmp_path, "cut")) == [rules.UNREADABLE.id]
    broken = body[:200] + bytes(200) + body[400:]
    assert problems(judged(broken, BY, tmp_path, "broken")) == [rules.UNREADABLE.id]
    nested = judged(parquet(tmp_path, "SELECT 1 AS n, ['a'] AS s, 1 AS y"), BY, tmp_path, "nested")
    assert "nested columns cannot be judged: s" in nested.problems[0].found


def test_parquet_types_mean_what_they_say(tmp_path: Path) -> None:
    by = model(
        *(
            column("n", INTEGER),
            column("d", ColumnType.DATE),
            column("z", ColumnType.DATE),
            column("f", ColumnType.DATE, format="dd.MM.yyyy"),
        ),
        *(column("t", ColumnType.TIMESTAMP), column("b", ColumnType.BOOLEAN), column("s")),
    )
    body = parquet(
        tmp_path,
        "SELECT 5.0::DOUBLE AS n, TIMESTAMP '2024-02-29 00:00:00' AS d,"
        " TIMESTAMPTZ '2024-02-29 01:00:00+01' AS z, DATE '2024-02-29' AS f, true AS b,"
        " TIMESTAMPTZ '2024-02-29 01:00:00+01' AS t, '\\xC3\\xA9'::BLOB AS s, 1.25::DECIMAL(6, 2) AS y"
        " UNION ALL SELECT 5.5, TIMESTAMP '2024-02-29 10:00:00', NULL, NULL, NULL, NULL, NULL, 'nan'::FLOAT",
    )
    answer = judged(body, by, tmp_path)
    assert found(answer) == {("type", "n"): [2], ("type", "d"): [2], ("type", "y"): [2]}
    kept = rows(answer.files["train"]) + rows(answer.files["holdout"])
    assert [str(value) for value in kept[0]] == [
        *("5", "2024-02-29", "2024-02-29", "2024-02-29", "2024-02-29 00:00:00", "True", "é", "1.25")
    ]


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_delimiters_are_recognised_and_kept(tmp_path: Path, mark: str) -> None:
    body = GOOD.decode().replace(",", mark).encode() + f'x{mark}"{mark}"{mark}1\n'.encode()
    answer = judged(body, BY, tmp_path)
    assert found(answer) == {("type", "n"): [4]}
    quarantine = answer.files["bad_rows"].read_text()
    assert quarantine == mark.join(
        ["interlock_row", "interlock_reasons", "n", "s", "y\n4", '"n: type"', "x", f'"{mark}"', "1\n"]
    )
    assert answer.rows == 4


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_utf_16_is_known_by_its_mark(tmp_path: Path, encoding: str) -> None:
    body = ("" if encoding == "utf-16" else "\ufeff") + GOOD.decode() + "x,Köln,4\n"
    answer = judged(body.encode(encoding), BY, tmp_path)
    assert (answer.rows, answer.bad_rows) == (4, 1)
    assert answer.files["bad_rows"].read_text("utf-8").endswith(",x,Köln,4\n")


def test_zstd_is_unpacked_and_its_damage_told(tmp_path: Path) -> None:
    body = zstd.compress(GOOD)
    assert judged(body, BY, tmp_path, "whole").rows == 3
    # As pzstd writes it: first a frame without content.
    first = bytes.fromhex("502a4d18") + (4).to_bytes(4, "little") + b"size"
    assert judged(first + body, BY, tmp_path, "skipping").rows == 3
    assert "the zstd stream is cut off" in judged(body[:-3], BY, tmp_path, "cut").problems[0].found
    assert "the zstd stream is damaged" in judged(body[:6] + b"\xff" * 9, BY, tmp_path, "damaged").problems[0].found
    bomb = zstd.compress(b"n,s,y\n" + b"1,a,1\n" * 8_000_000)
    assert problems(judged(bomb, BY, tmp_path, "bomb")) == [rules.TOO_LARGE.id]


@pytest.mark.parametrize(
    ("dialect", "body", "kept"),
    [
        (Dialect(encoding="latin-1"), "n,s,y\n1,Köln,1\n".encode("latin-1"), (1, "Köln", 1.0)),
        (Dialect(encoding="windows-1252"), "n,s,y\n1,5 €,1\n".encode("cp1252"), (1, "5 €", 1.0)),
        (Dialect(encoding="utf-16"), "n,s,y\n1,€,1\n".encode("utf-16-le"), (1, "€", 1.0)),
        (Dialect(delimiter="#", quote="'"), b"n#s#y\n1#'it''s # x'#1\n", (1, "it's # x", 1.0)),
        (Dialect(quote=""), b'n,s,y\n1,"a,1\n', (1, '"a', 1.0)),
        (Dialect(decimal=","), b"n;s;y\n1;a;2,5\n", (1, "a", 2.5)),
        (Dialect(decimal=",", thousands="."), b"n;s;y\n1.234.567;a;-1.234,5\n", (1_234_567, "a", -1234.5)),
        (Dialect(thousands=","), b'n,s,y\n"1,234",a,"12,345,678.25"\n', (1234, "a", 12_345_678.25)),
        (Dialect(header=False), b"1,a,1\n", (1, "a", 1.0)),
        (Dialect(header=False), b"1;a;1\n", (1, "a", 1.0)),
    ],
)
def test_a_declared_dialect_is_read(tmp_path: Path, dialect: Dialect, body: bytes, kept: tuple[object, ...]) -> None:
    by = model(column("n", INTEGER, required=True), column("s"), dialect=dialect)
    answer = judged(body, by, tmp_path)
    assert rows(answer.files["train"]) + rows(answer.files["holdout"]) == [kept]


def test_a_number_keeps_the_declared_marks(tmp_path: Path) -> None:
    by = model(column("n", INTEGER), dialect=Dialect(delimiter=";", decimal=",", thousands="."))
    answer = judged(b"n;y\n1.23;1\n12.345;1\n1,5;1\n1,0;2.5\n", by, tmp_path)
    assert found(answer) == {("type", "n"): [1, 3], ("type", "y"): [4]}


def test_a_zero_byte_in_a_value_is_no_reason_to_refuse_the_file(tmp_path: Path) -> None:
    answer = judged(b"n,s,y\n1,a\x00b,1\n2,c,2\n\x003,d,3\n", BY, tmp_path)
    assert found(answer) == {("type", "n"): [3]}
    assert {row[1] for name in ("train", "holdout") for row in rows(answer.files[name])} == {"a\x00b", "c"}


def test_a_text_of_parquet_that_is_none_is_told(tmp_path: Path) -> None:
    answer = judged(parquet(tmp_path, "SELECT 1 AS n, '\\xFF'::BLOB AS s, 1.5 AS y"), BY, tmp_path)
    assert [problem.found for problem in answer.problems] == ["it is Parquet, and a text in it is not UTF-8"]


def test_a_long_value_in_the_first_line_hides_no_delimiter(tmp_path: Path) -> None:
    by = model(column("n", INTEGER), column("s"), dialect=Dialect(header=False))
    answer = judged(b"1;" + b"a" * 200_000 + b";1\n2;c\rd;2\n", by, tmp_path)
    assert (answer.rows, answer.bad_rows) == (2, 0)


def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path: Path) -> None:
    answer = judged(b"\xef\xbb\xbf" + GOOD + b"x,d,1\n", BY, tmp_path)
    assert (answer.rows, answer.bad_rows) == (4, 1)
    assert answer.files["bad_rows"].read_text().startswith("interlock_row,interlock_reasons,n,s,y\n4,")
    lines = b"\xef\xbb\xbf" + b'{"n": 1, "s": "a", "y": 1}\n'
    assert judged(lines, BY, tmp_path, "lines").admitted


def test_windows_line_ends_and_a_missing_last_one(tmp_path: Path) -> None:
    answer = judged(GOOD.replace(b"\n", b"\r\n").rstrip(), BY, tmp_path)
    assert (answer.rows, answer.bad_rows) == (3, 0)


def test_malformed_rows_are_told_with_row_and_line_and_the_others_are_judged(tmp_path: Path) -> None:
    body = b'n,s,y\n1,"two\nlines",1\n2,b\n\nx,c,3\n4,d,4,5\n5,M\xfcnchen,5\n6,"open,6\n7,5" pipe,7\n8,h,8\n'
    answer = judged(body, BY, tmp_path)
    places = {(item.rule, item.column): [(e.row, e.line) for e in item.examples] for item in answer.findings}
    assert places == {
        ("field_count", None): [(2, 4), (4, 7)],
        ("encoding", None): [(5, 8)],
        ("open_quote", None): [(6, 9)],
        ("type", "n"): [(3, 6)],
    }
    assert (answer.rows, answer.bad_rows) == (8, 5)
    kept = sorted(rows(answer.files["train"]) + rows(answer.files["holdout"]))
    assert kept == [(1, "two\nlines", 1.0), (7, '5" pipe', 7.0), (8, "h", 8.0)]
    # Byte for byte, so that nothing is lost on the way back.
    assert answer.files["bad_rows"].read_bytes() == (
        b"interlock_row,interlock_reasons,n,s,y\n"
        b'2,"field_count",2,b\n3,"n: type",x,c,3\n4,"field_count",4,d,4,5\n'
        b'5,"encoding",5,M\xfcnchen,5\n6,"open_quote",6,"open,6\n'
    )


def test_a_whole_file_in_latin_1_is_rejected_for_its_rows(tmp_path: Path) -> None:
    by = model(column("s"), max_bad_row_share=0.05)
    body = "s,y\n" + "Straße,1\n" * 9 + "x,1\n"
    answer = judged(body.encode("latin-1"), by, tmp_path)
    assert problems(answer) == [rules.BAD_ROW_SHARE.id]
    assert [(item.rule, item.count) for item in answer.findings] == [("encoding", 9)]


def test_json_lines(tmp_path: Path) -> None:
    by = model(column("n", INTEGER, required=True), column("a.b c"), column('q"x', NUMBER))
    body = (
        b'{"n": 1, "a.b c": "x,\\"y\\nz", "q\\"x": 2.5, "y": 1}\r\n'
        b'\n{"n": 12345678901234567890123, "y": 1}\n'
        b'{"n": 2, "y": 1\n'
        b'{"n": 3, "a.b c": "M\xfcnchen", "y": 1}\n'
        b'{"n": 4, "a.b c": [1], "y": 1}\n'
        b'{"n": 5, "n": 6, "y": 1}\n'
        b"[7]\n"
        b'{"n": 8.0, "a.b c": null, "y": 1e0}\n'
        b'{ }\n{"n": "9", "a.b c": "", "y": 1, "q\\"x": "5"}'
    )
    answer = judged(body, by, tmp_path)
    places = {(item.rule, item.column): [(e.row, e.line) for e in item.examples] for item in answer.findings}
    assert places == {
        ("encoding", None): [(4, 5)],
        ("json", None): [(3, 4), (5, 6), (6, 7), (7, 8)],
        ("type", "n"): [(2, 3)],
        ("required", "n"): [(9, 10)],
    }
    assert (answer.kind, answer.rows, answer.bad_rows) == ("JSON Lines", 10, 7)
    kept = sorted(rows(answer.files["train"]) + rows(answer.files["holdout"]))
    assert kept == [(1, 'x,"y\nz', 2.5, 1.0), (8, None, None, 1.0), (9, None, 5.0, 1.0)]
    mend = [json.loads(item) for item in answer.files["bad_rows"].read_text().splitlines()]
    assert [item["interlock_row"] for item in mend] == [2, 3, 4, 5, 6, 7, 9]
    assert mend[0] == {"interlock_row": 2, "interlock_reasons": "n: type", "n": 12345678901234567890123, "y": 1}
    assert mend[1]["interlock_line"] == '{"n": 2, "y": 1'
    assert mend[2]["interlock_line"] == '{"n": 3, "a.b c": "M\\xfcnchen", "y": 1}'
    assert mend[-1] == {"interlock_row": 9, "interlock_reasons": "n: required"}


def test_an_empty_text_is_a_value_when_it_is_no_null_token(tmp_path: Path) -> None:
    by = model(column("s", required=True), null_tokens=("NA",))
    answer = judged(b's,y\n"",1\n,1\nNA,1\n', by, tmp_path)
    assert found(answer) == {("required", "s"): [3]}


def test_nul_bytes_and_control_characters_are_values_like_others(tmp_path: Path) -> None:
    body = GOOD + b"4," + b"d" * 5000 + b"\x00\x01e,4\n"
    answer = judged(body, BY, tmp_path)
    assert (answer.rows, answer.bad_rows) == (4, 0)
    zipped = tmp_path / "z.zip"
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("people.csv", GOOD)
    assert problems(judged(zipped.read_bytes(), BY, tmp_path, "zip")) == [rules.UNREADABLE.id]


def test_a_lack_of_memory_is_not_the_files_fault() -> None:
    with pytest.raises(duckdb.OutOfMemoryException), damaged(refused):
        raise duckdb.OutOfMemoryException
