"""What a person reads about an upload."""

from __future__ import annotations

import re

import pytest

from interlock.contract import ColumnType
from tests.unit.ingest.made import INTEGER, NUMBER, column, model
from tests.unit.ingest.world import World

RULES = model(
    column("n", INTEGER, minimum=0, exclusive_maximum=10),
    column("x", NUMBER, exclusive_minimum=0, maximum=1.5),
    column("s", min_length=2, max_length=4),
    column("p", pattern="^[a-z]+$"),
    column("c", allowed=tuple("abcdefghijkl")),
    column("few", allowed=("on", "off")),
    column("d", ColumnType.DATE, format="dd.MM.yyyy"),
    column("t", ColumnType.TIMESTAMP),
    column("name", restricted=True, required=True, max_length=3),
)
GOOD = b"1,1,ab,a,a,on,29.02.2024,2024-02-29T10:00:00,Eva,1\n"
HEADER = b"n,x,s,p,c,few,d,t,name,y\n"


def page(monkeypatch: pytest.MonkeyPatch, body: bytes, key: str = "incoming/small/people.csv") -> str:
    world = World(monkeypatch, RULES)
    world.run(world.upload(body, key))
    (place,) = (key for key in world.objects.keys("reports/") if key.endswith(".html"))
    return world.objects.read(place).decode()


def test_the_verdict_comes_first_and_the_contract_speaks_in_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    bad = b"-1,2,abcde,A,z,x,2024-02-29,noon,Schmidtke,1\n10,0,a,A,z,x,x,x,,1\n1.5,x,ab,a,a,on,,,Eva,1\n"
    text = page(monkeypatch, HEADER + GOOD * 40 + bad, "incoming/small/people <1>.csv")
    order = [
        text.index(part) for part in ("people &lt;1&gt;.csv", "Admitted; 3 bad rows", "What is wrong", "The columns")
    ]
    assert order == sorted(order)
    for said in (
        *("Below 0", "Not below 10", "Not above 0", "Above 1.5", "Shorter than 2 or longer than 4 characters"),
        *("Not of the form ^[a-z]+$", "None of a, b, c, d, e and 7 more", "None of on, off", "Not a whole number"),
        *("Not in the form dd.MM.yyyy", "Not a time as yyyy-MM-ddTHH:mm:ss", "A required value is missing"),
        *("row 41, line 42", "bad-rows.csv", "violations.csv", "2024-02-29"),
    ):
        assert said in text, said
    assert "Schmidtke" not in text
    assert "Eva" not in text
    assert "<i>masked</i>" in text


def test_the_page_needs_nothing_from_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    text = page(monkeypatch, HEADER + GOOD * 40)
    assert "Every row keeps the contract." in text
    assert not re.search(r"(src|href|@import|url\()", text)
    assert "<script" not in text
    assert 'name="viewport"' in text
    assert "prefers-color-scheme: dark" in text


def test_an_unreadable_file_shows_the_reason_and_no_empty_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    text = page(monkeypatch, b"")
    assert "Rejected." in text
    assert "The file has no rows:</b> the file has 0 bytes" in text
    assert "The columns" not in text
    assert "What is wrong" not in text


def test_columns_without_values_and_with_one_value_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    text = page(monkeypatch, HEADER + b",,,,,,,,Eva,1\n" * 3)
    assert "No values" in text
    assert "100.0% missing" in text
