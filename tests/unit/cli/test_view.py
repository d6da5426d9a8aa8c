"""Tables on a terminal."""

from __future__ import annotations

import pytest

from cli import view


def test_ids_stay_whole_in_80_columns_whatever_stands_beside_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(view.console, "_width", 80)
    row = ("d87ddc1d92ff3d21", "customers with a rather long name.csv", "3 d ago", "admitted", "12,000", "12,000")
    columns = ("claim", "file", "uploaded", "verdict", "rows", "bad", "sent again as")
    view.table("Held", columns, [(*row, "0123456789abcdef\nadmitted\nfedcba9876543210\nrejected")])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    for name in ("d87ddc1d92ff3d21", "0123456789abcdef", "fedcba9876543210", "sent again as"):
        assert any(name in line for line in lines), name
