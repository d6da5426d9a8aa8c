"""Figures and words as people read them: in reports, pages, alerts and on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise


def number(value: float | None, digits: int = 4) -> str:
    """A number as people read it: thousands separated, small ones with significant digits, nothing as a dash."""
    if value is None:
        return "–"
    if isinstance(value, int) or float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:,.{digits}g}" if abs(value) < 1000 else f"{value:,.0f}"


def ranges(edges: Sequence[float], *, whole: bool) -> tuple[str, ...]:
    """The bins between ascending edges in words, the ends open; of whole numbers by their first and last value."""
    if not edges:
        return ("all values",)
    middle = [_range(low, high, whole=whole) for low, high in pairwise(edges)]
    return (f"below {number(edges[0])}", *middle, f"from {number(edges[-1])}")


def _range(low: float, high: float, *, whole: bool) -> str:
    # The bin of a constant ends just above it.
    last = max(low, high - 1) if whole else high
    return number(low) if number(low) == number(last) else f"{number(low)} to {number(last)}"


def percent(share: float | None, digits: int = 1) -> str:
    """A share as a percentage."""
    return "–" if share is None else f"{100 * share:.{digits}f}%"


def sentence(text: str) -> str:
    """The text with a capital; the rest stays as it is written."""
    return text[:1].upper() + text[1:]
