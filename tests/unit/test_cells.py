"""Cells that would run, hide or turn the page round."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.cells import harmless, visible

FORMULAS = [
    *("=cmd|' /C calc'!A0", "+1+cmd|x", "-2+3+cmd|x", "@SUM(1+9)*cmd|x", "=1", "=", "-", "+49 30 1234567"),
    *("\t=1", "\r=1", "\n=1", "  =1", "\u00a0=1", "\u200b=1", "\ufeff=1", "\x00=1", "\u202e=1", "\t", "\r5"),
    *("＝1+1", "＋1", "－1", "＠SUM(A1)", "﹦1", "﹫x", " ＝1"),
]  # fmt: skip
NUMBERS = ["-5", "+5", "-0.5", "+.5", "-1e9", "-1.5E-3", "5."]
TEXTS = ["", "a", "a=b", "1-2", "x@y.example", "'=1", "(=1)", "ärger", "−5"]  # the last is U+2212


@pytest.mark.parametrize("cell", FORMULAS)
def test_a_formula_becomes_text(cell: str) -> None:
    assert harmless(cell) == "'" + cell


@pytest.mark.parametrize("cell", NUMBERS + TEXTS)
def test_a_number_and_a_text_stay(cell: str) -> None:
    assert harmless(cell) == cell


@given(st.text())
def test_no_cell_begins_like_a_formula(cell: str) -> None:
    said = harmless(cell)
    assert said.removeprefix("'") == cell or said == cell
    first = unicodedata.normalize("NFKC", said.lstrip()[:1])
    if first in {"=", "@"}:
        pytest.fail(f"{said!r} is a formula")
    if first in {"+", "-"}:
        float(said)


@given(st.text())
def test_everything_shown_is_seen(cell: str) -> None:
    said = visible(cell)
    assert not {unicodedata.category(sign) for sign in said} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert visible(said) == said


def test_what_is_hidden_is_named() -> None:
    assert visible("a\x1b[31mred\x07") == "a\\x1b[31mred\\x07"
    assert visible("user\u202egpj.exe") == "user\\u202egpj.exe"
    assert visible("a\nb\tc\r") == "a\\nb\\tc\\r"
    assert visible("a\nb", keep="\n") == "a\nb"
    assert visible("\U000e0041") == "\\U000e0041"
    assert visible("größe 测试 é") == "größe 测试 é"
