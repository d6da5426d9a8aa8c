"""The sql rules: what depends on the rows alone may run, and nothing else gets through, or out."""

from __future__ import annotations

import time
from pathlib import Path

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from interlock.contract import Column, ColumnType, Contract
from interlock.sandbox import answer, problems, ready

CONTRACT = Contract(
    id="c",
    version="1",
    table="trips",
    columns=(
        Column(name="n", type=ColumnType.INTEGER),
        Column(name="x", type=ColumnType.NUMBER),
        Column(name="s", type=ColumnType.STRING),
        Column(name="d", type=ColumnType.DATE),
        Column(name="Odd name", type=ColumnType.STRING),
        Column(name="pay", type=ColumnType.INTEGER, restricted=True),
    ),
)
SECRET = 987654321


@pytest.fixture
def rows(tmp_path: Path) -> list[Path]:
    files = [tmp_path / f"{number}.parquet" for number in range(2)]
    with duckdb.connect() as con:
        for number, file in enumerate(files):
            con.execute(
                "COPY (SELECT range AS n, range / 2 AS x, 's' || range AS s, DATE '2024-01-01' AS d, NULL::VARCHAR AS"
                f" \"Odd name\", {SECRET} AS pay FROM range({number * 10}, {number * 10 + 10})) TO '{file}'"
            )
    return files


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("SELECT count(*) FROM trips WHERE n > 4", 15),
        ("SELECT max(n) < 20 FROM trips", 1),
        ("WITH big AS (SELECT n FROM trips WHERE n >= 10) SELECT sum(n) / count(*) FROM big", 14.5),
        ("SELECT count(DISTINCT s) FROM trips t WHERE t.d = DATE '2024-01-01'", 20),
        ("SELECT count(*) FROM (SELECT row_number() OVER (PARTITION BY d ORDER BY n) AS r FROM trips) WHERE r = 1", 1),
        ("SELECT count(*) FROM trips a JOIN trips b ON a.n = b.n + 1", 19),
        ("SELECT count(*) FROM trips WHERE \"Odd name\" IS NULL AND s LIKE 's1%' AND regexp_matches(s, '^s')", 11),
        ("SELECT CASE WHEN coalesce(nullif(quantile_cont(x, 0.5), 0), 1) > 4 THEN 1 ELSE 0 END FROM trips", 1),
        ("SELECT (SELECT count(*) FROM trips WHERE n IN (SELECT n FROM trips WHERE n < 3)) + min(n) FROM trips", 3),
        ("SELECT extract(year FROM max(d)) FROM trips", 2024),
        ("SELECT 1 UNION SELECT count(*) FROM trips WHERE n = 1", 1),
        (" select stddev_samp(n) between 5 and 6 from trips; ", 1),
    ],
)  # fmt: skip
def test_a_query_over_the_rows_gives_its_number(query: str, value: float, rows: list[Path]) -> None:
    assert problems(query, CONTRACT) == []
    found = answer(query, CONTRACT, rows)
    assert (found.value, found.problem, found.hidden) == (value, "", False)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT count(*) FROM read_text('/etc/passwd')",
        "SELECT count(*) FROM '/etc/passwd'",
        "SELECT count(*) FROM read_parquet('0.parquet')",
        "SELECT count(*) FROM glob('/*')",
        "SELECT count(*) FROM 'https://example.org/x.csv'",
        "COPY trips TO '/tmp/x.csv'",
        "COPY (SELECT 1) TO '/dev/stdout'",
        "ATTACH '/tmp/x.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET memory_limit = '100GB'",
        "PRAGMA database_list",
        "CALL pragma_version()",
        "EXPORT DATABASE '/tmp/x'",
        "CREATE TABLE y AS SELECT 1",
        "DROP VIEW trips",
        "UPDATE trips SET n = 1",
        "SELECT 1; DROP VIEW trips",
        "SELECT 1; SELECT 2",
        "EXPLAIN SELECT 1",
        "SHOW TABLES",
        "DESCRIBE trips",
        "FROM duckdb_settings() SELECT count(*)",
        "FROM duckdb_secrets() SELECT count(*)",
        "SELECT count(*) FROM duckdb_tables",
        "SELECT count(*) FROM sqlite_master",
        "SELECT count(*) FROM information_schema.tables",
        "WITH duckdb_tables AS (SELECT 1) SELECT count(*) FROM duckdb_tables",
        "SELECT (WITH \"/etc/passwd\" AS (SELECT 1) SELECT 1) FROM '/etc/passwd'",
        "SELECT count(*) FROM memory.main.trips",
        "SELECT length(current_setting('memory_limit'))",
        "SELECT length(getenv('AWS_SECRET_ACCESS_KEY'))",
        "SELECT count(*) FROM query('SELECT 1')",
        "SELECT count(*) FROM query_table('trips')",
        "SELECT length(current_query())",
        "SELECT length(version())",
        "SELECT random() < 2",
        "SELECT current_date > max(d) FROM trips",
        "SELECT now() > max(d) FROM trips",
        "SELECT today() > max(d) FROM trips",
        "SELECT length(user)",
        "SELECT count(*) FROM trips USING SAMPLE 10%",
        "SELECT count(*) FROM trips TABLESAMPLE 3 ROWS",
        "WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r) SELECT count(*) FROM r",
        "SELECT count(*) FROM range(1000000000000)",
        "SELECT length(repeat('x', 1000000000))",
        "SELECT length(lpad('x', 1000000000, 'y'))",
        "SELECT error('x' || max(s)) FROM trips",
        "SELECT sleep_ms(100000)",
        "SELECT write_log('x')",
        "SELECT main.abs(n) FROM trips",
        "SELECT count(*) FROM trips WHERE n = ?",
        "SELECT count(*) FROM trips WHERE n = $x",
        "SELECT count(*) FROM other",
        "SELECT count(*) FROM trips, LATERAL (SELECT * FROM read_text('/etc/passwd'))",
        "SELECT length((SELECT content FROM read_text('/etc/passwd')))",
        "SELECT count(*) FROM trips WHERE s IN (FROM read_text('/etc/passwd') SELECT content)",
        "SELECT EXISTS (FROM duckdb_settings())",
        "SELECT count(*) FROM (VALUES (current_setting('threads')))",
        "SELECT list_transform([1], lambda x: length(current_setting('threads')))[1]",
        "SELECT count(*) FILTER (WHERE current_setting('threads') = '1') FROM trips",
        "SELECT count(*) FROM trips HAVING current_setting('threads') = '1'",
        "SELECT max(n) FROM trips ORDER BY current_setting('threads')",
        "SELECT n FROM trips QUALIFY row_number() OVER (ORDER BY current_setting('threads')) = 1",
        "SELECT max(n) FROM trips GROUP BY ALL LIMIT length(current_setting('threads'))",
        "SELECT sum(n) OVER (ROWS length(current_setting('threads')) PRECEDING) FROM trips LIMIT 1",
        "SELECT CASE WHEN true THEN length(current_setting('threads')) END",
        "WITH a AS (SELECT current_setting('threads') AS t) SELECT length(t) FROM a",
        "SELECT count(*) FROM trips JOIN sqlite_master ON true",
        "SELECT length('threads'.current_setting())",
        "SELECT pg_catalog.pg_sleep(1)",
        "SELECT nextval('x')",
        "SELECT length(to_json(COLUMNS(lambda c: current_setting('threads') = '1'))) FROM trips",
        "SELECT",
        "",
        "   ;  ",
    ],
)  # fmt: skip
def test_whatever_is_more_than_the_rows_is_refused(query: str, rows: list[Path]) -> None:
    refused = problems(query, CONTRACT)
    assert refused
    found = answer(query, CONTRACT, rows)
    assert found.value is None
    assert found.problem


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT count(missing) FROM trips", '"missing" not found'),
        ("SELECT s FROM trips", "it must give one number or boolean, and gives s VARCHAR"),
        ("SELECT min(n), max(n) FROM trips", "gives min(n) BIGINT, max(n) BIGINT"),
        ("SELECT d + 1.5 FROM trips", "No function matches"),
    ],
)
def test_a_query_that_could_not_answer_is_refused_before_the_first_upload(query: str, said: str) -> None:
    (refused,) = problems(query, CONTRACT)
    assert said in refused


def test_a_column_that_is_called_like_a_word_of_sql_is_a_column() -> None:
    by = CONTRACT.model_copy(update={"columns": (Column(name="user", type=ColumnType.INTEGER),)})
    assert problems('SELECT max("user") FROM trips', by) == []


def test_even_an_unread_query_finds_no_file_and_no_setting(rows: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The second lock, were the first one open."""
    monkeypatch.setattr("interlock.sandbox._refusals", lambda *_: [])
    for query in (
        "SELECT count(*) FROM read_text('/etc/passwd')",
        f"COPY trips TO '{rows[0]}'",
        f"COPY trips TO '{rows[0].parent}/out.csv'",
        "ATTACH '/tmp/interlock-x.db'",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "SET memory_limit = '100GB'",
        "SELECT count(*) FROM read_csv('https://example.org/x.csv')",
    ):
        found = answer(query, CONTRACT, rows)
        assert found.value is None, query
        assert found.problem
    assert sorted(file.name for file in rows[0].parent.iterdir()) == ["0.parquet", "1.parquet"]
    assert answer("SELECT count(*) FROM trips", CONTRACT, rows).value == 20


def test_a_query_that_does_not_end_is_ended(rows: list[Path]) -> None:
    query = "SELECT sum(a.n * b.n + c.n) FROM trips a, trips b, trips c" + "".join(f", trips t{i}" for i in range(8))
    began = time.monotonic()
    found = answer(query, CONTRACT, rows, seconds=0.5)
    assert found.problem == "the query took longer than 0.5 seconds"
    assert time.monotonic() - began < 20


def test_a_query_that_needs_too_much_memory_is_ended(rows: list[Path]) -> None:
    names = "abcde"
    query = (
        f"SELECT count(DISTINCT {' || '.join(f'{name}.s' for name in names)})"
        f" FROM {', '.join(f'trips {name}' for name in names)}"
    )
    assert "the query needs more than 20 MB" in answer(query, CONTRACT, rows, memory_mb=20).problem


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT CAST(max(s) AS INTEGER) FROM trips", "the query failed on these rows (ConversionException)"),
        ("SELECT max(n) FROM trips WHERE n > 100", "the query gave no value (NULL)"),
        ("SELECT n FROM trips", "the query did not give one row with one value"),
        ("SELECT n FROM trips WHERE false", "the query did not give one row with one value"),
    ],
)
def test_a_query_without_an_answer_says_why_and_no_value(query: str, said: str, rows: list[Path]) -> None:
    assert problems(query, CONTRACT) == []
    found = answer(query, CONTRACT, rows)
    assert (found.value, found.problem) == (None, said)


@pytest.mark.parametrize(
    ("query", "hidden"),
    [
        ("SELECT max(pay) FROM trips", True),
        ("SELECT max(p) FROM (SELECT pay AS p FROM trips)", True),
        ("SELECT count(*) FROM (SELECT DISTINCT * FROM trips)", True),
        ("SELECT count(*) FROM trips WHERE pay < 0", True),
        ("SELECT count(*) FROM trips", False),
        ("SELECT max(n) FROM trips", False),
    ],
)
def test_a_restricted_column_is_judged_and_its_number_is_hidden(query: str, hidden: bool, rows: list[Path]) -> None:
    found = answer(query, CONTRACT, rows)
    assert found.value is not None
    assert found.hidden == hidden


def test_no_rows_are_an_empty_table() -> None:
    assert answer("SELECT count(*) FROM trips", CONTRACT, []).value == 0


WORDS = (
    *("SELECT", "count(*)", "FROM", "trips", "WHERE", "n", "pay", ">", "1", "(", ")", ",", ";", "'x'", '"Odd name"'),
    *("read_text('/etc/passwd')", "COPY", "TO", "duckdb_settings()", "WITH", "AS", "*", "current_setting('threads')"),
    *("UNION", "SET", "PRAGMA", "ATTACH", "--", "/*", "*/", "$$", "::", "LOAD", "'/etc/passwd'", "GROUP BY", "IN"),
)


@settings(deadline=None, max_examples=40)
@example("SELECT ''")
@example("SELECT DATE '2026-01-01'")
@example("SELECT [1]")
@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)))
def test_whatever_is_written_gives_an_answer_or_a_reason(query: str) -> None:
    assert isinstance(problems(query, CONTRACT), list)
    found = answer(query, CONTRACT, [], seconds=5)
    assert (found.value is None) == bool(found.problem)


def test_the_standards_placeholders_are_filled_in() -> None:
    written = "SELECT count({property}) FROM ${table} WHERE ${column} > {n} AND {field} < 1 -- {object} {model}"
    assert ready(written, "my table", 'a"b') == (
        'SELECT count("a""b") FROM "my table" WHERE "a""b" > {n} AND "a""b" < 1 -- "my table" "my table"'
    )
    assert ready("SELECT {column} FROM {table}", "t") == 'SELECT {column} FROM "t"'
