"""A file is answered as the prediction door answers its rows, whatever form it has and whatever dies on the way."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interlock.contract import Dialect
from interlock.events import FileNotScored, FileScored
from interlock.kind import Kind
from interlock.records import ClaimStatus
from serve.protocol import rows
from serve.protocol.signature import Signature, Tensor
from serve.score import reading, take
from tests.unit.killed import Killed, watch
from tests.unit.serve.scored import FLATS, Scoring, asked, parquet

Row = dict[str, Any]
TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=6)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "size": st.none() | st.integers(-2_000_000, 2_000_000) | st.floats(allow_nan=False, allow_infinity=False),
            "place": st.none() | st.sampled_from(["north", "south", "atlantis", 'a "quoted"\nplace, with all']),
        },
        optional={"id": TEXTS, "rented": TEXTS, "seen": st.just("2026-01-01")},
    ),
    min_size=1,
    max_size=12,
)


@pytest.fixture
def scoring(monkeypatch: pytest.MonkeyPatch) -> Scoring:
    return Scoring(monkeypatch)


def in_csv(rows: list[Row], **more: Any) -> bytes:
    names = ["seen", "place", "id", "size", "rented"]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL, **more)
    writer.writerows([names, *([row.get(name) for name in names] for row in rows)])
    return out.getvalue().encode()


def in_lines(rows: list[Row]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def in_parquet(rows: list[Row]) -> bytes:
    def literal(value: Any, kind: str) -> str:
        if value is None:
            return f"NULL::{kind}"
        return f"{value!r}::{kind}" if kind == "DOUBLE" else f"'{str(value).replace(chr(39), chr(39) * 2)}'"

    return parquet(
        " UNION ALL BY NAME ".join(
            f"SELECT {literal(row['size'], 'DOUBLE')} AS size, {literal(row['place'], 'VARCHAR')} AS place,"
            f" {literal(row.get('id'), 'VARCHAR')} AS id, {place} AS rented"
            for place, row in enumerate(rows)
        )
    )


FORMS: dict[str, Callable[[list[Row]], bytes]] = {
    "csv": in_csv,
    "gzip": lambda rows: gzip.compress(in_csv(rows)),
    "lines": in_lines,
    "parquet": in_parquet,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("large", [False, True])
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(rows=ROWS)
def test_a_file_is_answered_as_the_door_answers_each_row(
    monkeypatch: pytest.MonkeyPatch, form: str, large: bool, rows: list[Row]
) -> None:
    with monkeypatch.context() as patch:
        scoring = Scoring(patch)
        # Blocks and pieces of one row or two.
        for module in (reading, __import__("serve.score.parquet", fromlist=["parquet"])):
            patch.setattr(module, "BLOCK", 2)
            patch.setattr(module, "PIECE_ROWS", 2)
        patch.setattr(reading, "PIECE_BYTES", 60)
        if large:
            patch.setattr(take, "WHOLE_BYTES", 0)
        assert scoring.run(scoring.put(FORMS[form](rows))) == "Scored"
        found = scoring.predictions()
        assert [int(item["row"]) for item in found] == list(range(1, len(rows) + 1))
        for row, item in zip(rows, found, strict=True):
            expected = asked({name: row[name] for name in ("size", "place")})
            assert item["error"] == expected.get("error"), row
            assert item["label"] == expected.get("label")
            if "probability" in expected:
                assert float(item["probability"]) == pytest.approx(expected["probability"], rel=1e-6)
            else:
                assert item["probability"] is None
        result = scoring.result()
        assert (result.rows, result.scored) == (len(rows), sum(item["error"] is None for item in found))
        assert (result.version, result.revision, result.state) == (3, 1, "scored")
        assert [error.row for error in result.errors] == [int(item["row"]) for item in found if item["error"]]


def test_keys_stand_beside_the_predictions_and_formulas_are_harmless(scoring: Scoring) -> None:
    keys = ["=cmd|'/c calc'!A0", "<script>alert(1)</script>", "-5", 'a,"b"\r\nc']
    rows = [{"id": key, "size": 1, "place": "north", "rented": "yes"} for key in keys]
    assert scoring.run(scoring.put(in_csv(rows))) == "Scored"
    # A number stays one, a page is text to whoever reads CSV.
    assert [item["id"] for item in scoring.predictions()] == ["'" + keys[0], *keys[1:]]
    assert list(scoring.predictions()[0]) == ["row", "line", "id", "label", "probability", "error"]


def test_keys_of_parquet_keep_their_type_and_all_forms_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    bodies = {
        "csv": b"id,size,place\n7,1.5,north\n8,2,\n",
        "lines": b'{"id": 7, "size": 1.5, "place": "north"}\n\n{"id": 8, "size": 2}\n',
        "parquet": parquet(
            "SELECT * FROM (VALUES (7::BIGINT, 1.5::DOUBLE, 'north'), (8, 2, NULL)) AS t(id, size, place)"
        ),
    }
    said = []
    for body in bodies.values():
        with monkeypatch.context() as patch:
            scoring = Scoring(patch)
            assert scoring.run(scoring.put(body)) == "Scored"
            said.append([(int(row["id"]), row["label"], float(row["probability"])) for row in scoring.predictions()])
            kinds = {type(row["id"]) for row in scoring.predictions()}
    assert said[0] == said[1] == said[2]
    assert kinds == {int}


@pytest.mark.parametrize("large", [False, True])
def test_a_malformed_row_neither_hides_nor_moves_the_others(
    scoring: Scoring, monkeypatch: pytest.MonkeyPatch, large: bool
) -> None:
    if large:
        monkeypatch.setattr(take, "WHOLE_BYTES", 0)
        monkeypatch.setattr(reading, "PIECE_BYTES", 1)
    body = (
        b"\xef\xbb\xbfid,size,place\r\n"
        b"1,1,north\r\n"
        b"\r\n"
        b'2,2,"north\r\n'  # left open
        b"3,3,south,more\r\n"
        b"4,4,\xff\xfe\r\n"
        b'"5\n\n5","5",south\r\n'
        b'6,"6" ,south\n'
        b'7 "x",7,NA\n'
        b"8,8,north"
    )
    assert scoring.run(scoring.put(body)) == "Scored"
    assert [(row["row"], row["line"], row["id"], row["error"]) for row in scoring.predictions()] == [
        ("1", "2", "1", None),
        ("2", "4", None, "a quote is not closed, or text follows it"),
        ("3", "5", None, "4 fields instead of 3"),
        ("4", "6", None, "bytes that are not UTF-8"),
        ("5", "7", "5\n\n5", None),
        ("6", "10", None, "a quote is not closed, or text follows it"),
        ("7", "11", '7 "x"', None),
        ("8", "12", "8", None),
    ]


def test_lines_that_are_no_rows_are_told_and_no_value_is(scoring: Scoring) -> None:
    lines = [
        '{"size": 1, "place": "north"}',
        '{"size": 1, "place": "secret-place"',
        '["secret"]',
        '{"size": 1, "plaice": "secret"}',
        '{"size": "secret", "place": "secret"}',
        '{"size": true, "place": 17}',
        '{"size": 1e6000}',
    ]
    assert scoring.run(scoring.put("\n".join(lines).encode())) == "Scored"
    errors = [row["error"] for row in scoring.predictions()]
    assert errors[0] is None
    assert [error.split(":")[0] for error in errors[1:]] == [
        "not JSON", "not one JSON object", "unknown columns", "place", "place", "not JSON"
    ]  # fmt: skip
    assert errors[4] == "place: must be one of north, south; size: must be a number"
    stored = b"".join(body for (key, _), body in scoring.data.versions.items() if not key.startswith("score/"))
    assert b"secret" not in stored


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "0 bytes"),
        (b"id,size,place\n", "no rows"),
        (b"\n\n", "none of them is a column's name"),
        (gzip.compress(b""), "0 bytes"),
        (gzip.compress(b"size\n" + b"1\n" * 999)[:-9], "cut off"),
        (b"17,secret\n18,secret\n", "none of them is a column's name"),
        (b"id,place\n1,north\n", "columns are missing: size"),
        (b"id,size,plaice\n1,1,north\n", "unknown columns: plaice"),
        (b"size,size\n1,1\n", "stand twice: size"),
        (b"[1]", "one JSON array"),
        (b"PK\x03\x04....", "Excel"),
        (b"PAR1 and nothing like it", "cut off or damaged"),
        (parquet("SELECT 1 AS id, 'a' AS place"), "columns are missing: size"),
        (parquet("SELECT 1.0 AS size, [1] AS place"), "nested columns cannot be scored: place"),
        (parquet("SELECT 1.0 AS size WHERE false"), "no rows"),
        (b"size\n" + b"1" * 17_000_000, "more than 16 MB"),
    ],
)
@pytest.mark.parametrize("large", [False, True])
def test_a_file_that_cannot_be_scored_is_answered_with_the_reason(
    scoring: Scoring, monkeypatch: pytest.MonkeyPatch, large: bool, body: bytes, said: str
) -> None:
    monkeypatch.setattr(take, "WHOLE_BYTES", -1 if large else 16 << 20 << 20)
    file = scoring.put(body)
    assert scoring.run(file) == "Refused"
    result = scoring.result()
    assert (result.state, result.error, result.predictions) == ("failed", "InvalidUpload", None)
    assert said in str(result.message)
    assert "secret" not in str(result.message)
    ((subject, told),) = scoring.alerts.sent
    assert subject == "File not scored"
    assert said in told
    assert [type(event) for event in scoring.bus.published] == [FileNotScored]
    # It may be tried again at once.
    assert scoring.claim(result.claim).status is ClaimStatus.FAILED
    assert scoring.run(file, "e2") == "Refused"


def test_nothing_serves_nobody_is_deployed_or_the_key_is_another(scoring: Scoring) -> None:
    live = scoring.state.items.pop(("model#flats", "live"))
    file = scoring.put(in_csv([{"size": 1}]))
    assert scoring.run(file) == "Refused"
    assert scoring.result().message == "no version of 'flats' serves yet"
    scoring.release(2, probing=True)
    assert scoring.run(file, "e2") == "Refused"
    scoring.state.items["model#flats", "live"] = live
    assert scoring.run(file, "e3") == "Scored"
    assert scoring.result().state == "scored"
    for key in ("score/nobody/file.csv", "score/file.csv", "score/flats/"):
        assert scoring.run(scoring.put(b"x", key)) == "Refused"
    assert len(scoring.alerts.sent) == 5


def test_the_event_may_come_twice_and_a_stopped_run_is_taken_over(scoring: Scoring) -> None:
    file = scoring.put(in_csv([{"size": 1}]))
    scoring.step("take", **file, execution="e1")
    assert scoring.run(file, "e2") == "AlreadyTaken"
    scoring.executions.ended.add("e1")
    assert scoring.run(file, "e3") == "Scored"
    assert scoring.run(file, "e4") == "AlreadyTaken"
    # A failure of a run that was overtaken changes nothing.
    before = scoring.result()
    scoring.step("fail", **file, execution="e1", error="States.Timeout", cause="")
    assert scoring.result() == before
    assert [type(event) for event in scoring.bus.published] == [FileScored]
    told = scoring.bus.published[0]
    assert isinstance(told, FileScored)
    assert (told.rows, told.scored, told.version, told.key) == (1, 1, 3, file["key"])


WRITES = {"data": ("put", "put_file"), "state": ("acquire",), "bus": ("publish",)}


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_killed_at_any_write_and_run_again_is_as_undisturbed(monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    rows = [{"size": number, "id": str(number), "place": "north"} for number in range(5)]

    def run(killed_at: int) -> tuple[Any, list[str]]:
        with monkeypatch.context() as patch:
            scoring = Scoring(patch)
            patch.setattr(take, "WHOLE_BYTES", 0)
            patch.setattr(reading, "PIECE_BYTES", 60)
            file = scoring.put(FORMS[form](rows))
            writes = watch(patch, scoring, WRITES, killed_at)
            try:
                scoring.run(file)
            except Killed:
                scoring.executions.ended.add("e1")
                assert scoring.run(file, "e2") == "Scored"
            result = scoring.result()
            assert result.predictions is not None
            assert scoring.data.describe(result.predictions.key) == result.predictions
            said = scoring.predictions(), result.rows, result.source and result.source.sha256
            return (said, scoring.claim(result.claim).status, sorted(scoring.data.newest)), writes

    expected, writes = run(0)
    assert len(writes) >= 8
    for number in range(1, len(writes) + 1):
        assert run(number)[0] == expected, f"killed at write {number}: {writes[number - 1]}"


def test_a_failure_of_ours_is_answered_by_its_name_and_given_back(
    scoring: Scoring, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise ValueError("could not convert string to float: 'secret'")

    file = scoring.put(in_csv([{"size": 1}]))
    with monkeypatch.context() as patch:
        patch.setattr("serve.score.part.answer", broken)
        with pytest.raises(ValueError, match="secret"):
            scoring.run(file)
    result = scoring.result()
    assert (result.state, result.error, result.message) == ("failed", "ValueError", "ValueError")
    # The workflow fails, which the alarm tells.
    assert not scoring.alerts.sent
    assert scoring.run(file, "e2") == "Scored"


def test_an_altered_model_scores_nothing(scoring: Scoring) -> None:
    scoring.objects.versions["models/flats/r/model.onnx", scoring.served.onnx.version] = b"another"
    with pytest.raises(Exception, match="is not the recorded"):
        scoring.run(scoring.put(in_csv([{"size": 1}])))
    assert scoring.result().error == "ChecksumMismatch"


def test_a_row_that_the_model_fails_on_does_not_cost_the_others(
    scoring: Scoring, monkeypatch: pytest.MonkeyPatch
) -> None:
    from serve.loaded import Loaded

    whole = Loaded.scores

    def scores(self: Loaded, tensors: dict[str, Any]) -> Any:
        sizes = tensors["size"][:, 0].tolist()
        if 13 in sizes:
            raise RuntimeError("no")
        found = whole(self, tensors).copy()
        found[[size == 17 for size in sizes], -1] = float("nan")
        return found

    monkeypatch.setattr(Loaded, "scores", scores)
    assert scoring.run(scoring.put(in_csv([{"size": size, "id": str(size)} for size in range(10, 20)]))) == "Scored"
    errors = {row["id"]: row["error"] for row in scoring.predictions()}
    assert {key: error for key, error in errors.items() if error} == {
        "13": "version 3 crashed: RuntimeError",
        "17": "version 3 answers no number",
    }


DIALECTS = [
    (Dialect(delimiter=";", decimal=",", thousands="."), "id;size;place;rented\n1;1.234,5;north;\n", "utf-8"),
    (Dialect(encoding="latin-1"), "id,size,place,seen\nä,1234.5,north,x\n", "latin-1"),
    (Dialect(encoding="utf-16"), "id|size|place\nä|1234.5|north\n", "utf-16"),
    (Dialect(header=False), "1,1234.5,north,2026-01-01,yes\n", "utf-8"),
    (Dialect(header=False), "1,1234.5,north,2026-01-01\n", "utf-8"),
    (Dialect(header=False), "1234.5,north\n", "utf-8"),
    (Dialect(quote="'"), "id,size,place\n1,'1234.5','north'\n", "utf-8"),
    (Dialect(quote=""), 'id,size,place\n"1,1234.5,north\n', "utf-8"),
    (None, "size\tplace\n+1.2345e3\tnorth\n", "utf-8"),
]


@pytest.mark.parametrize(("dialect", "text", "encoding"), DIALECTS)
def test_csv_is_read_as_the_contract_s_dialect_says(
    monkeypatch: pytest.MonkeyPatch, dialect: Dialect | None, text: str, encoding: str
) -> None:
    contract = FLATS.contract.model_copy(update={"dialect": dialect})
    scoring = Scoring(monkeypatch, FLATS.model_copy(update={"contract": contract}))
    assert scoring.run(scoring.put(text.encode(encoding))) == "Scored"
    (row,) = scoring.predictions()
    expected = asked({"size": 1234.5, "place": "north"})
    assert (row["error"], row["label"]) == (None, expected["label"])
    assert float(row["probability"]) == pytest.approx(expected["probability"], rel=1e-6)


def test_parquet_of_other_types_is_read_through_its_texts(scoring: Scoring) -> None:
    body = parquet(
        "SELECT * FROM (VALUES (1.5::DECIMAL(9, 2), 'north'), (0.1::DECIMAL(9, 2), 'NA')) AS t(size, place)"
        " UNION ALL SELECT 3::DECIMAL(9, 2), 'south'"
    )
    assert scoring.run(scoring.put(body)) == "Scored"
    for row, size, place in zip(scoring.predictions(), (1.5, 0.1, 3.0), ("north", None, "south"), strict=True):
        assert row["probability"] == pytest.approx(asked({"size": size, "place": place})["probability"], rel=1e-6)


def test_what_is_not_a_number_in_parquet_is_not_fed_as_a_missing_one(scoring: Scoring) -> None:
    body = parquet("SELECT unnest(['nan'::DOUBLE, 'inf'::DOUBLE, 2, NULL]) AS size")
    assert scoring.run(scoring.put(body)) == "Scored"
    assert [row["error"] for row in scoring.predictions()] == [
        "size: must be a number", "size: must be a number", None, "size: is missing"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "wrong"), [(5, False), (5.0, False), (0.5, False), (0, False), (6, True), (5.5, True)]
)
def test_a_number_of_a_list_is_known_by_its_value(value: float, wrong: bool) -> None:
    column = rows.Column(name="c", type="number", allowed=("5", "0.50", "-0"))
    assert (rows._complaint(value, "FP32", True, column) is not None) == wrong


VALUES = st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-3, 3) | st.sampled_from(["north", "x", "", "-0.0"])
LIGHT = st.none() | st.builds(
    rows.Column,
    name=st.just("c"),
    type=st.just("number"),
    minimum=st.none() | st.integers(-2, 2),
    exclusive_maximum=st.none() | st.floats(-2, 2),
    multiple_of=st.none() | st.just(0.5),
    max_length=st.none() | st.just(3),
    allowed=st.none() | st.just(("1", "2.0", "0.0", "-0.5")),
)


@settings(max_examples=400)
@given(
    values=st.lists(VALUES, max_size=6),
    datatype=st.sampled_from(["FP32", "INT64", "BOOL", "BYTES"]),
    required=st.booleans(),
    column=LIGHT,
)
def test_a_column_that_looks_good_as_a_whole_has_nothing_wrong(
    values: list[Any], datatype: str, required: bool, column: rows.Column | None
) -> None:
    signature = Signature("m", 1, Kind.BINARY, [Tensor("c", datatype, required)], ("no", "yes"), 0.5)
    found = rows.complaints([values], signature, {"c": column} if column else {})
    one_by_one = [rows._complaint(value, datatype, required, column) for value in values]
    assert found == [(row, "c", message) for row, message in enumerate(one_by_one) if message is not None]
