"""Every column of an upload beside the last admitted dataset, from the two profiles alone.

What is called a change is more than chance explains: by the tests of `interlock.stats.drift`, at a rate that leaves 1%
of the reports about unchanged data with a column that is called changed.
"""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import numpy as np

from ingest.judgement import Bar, ColumnReport
from interlock.contract import Column, ColumnType, Contract
from interlock.figures import number
from interlock.stats.drift.missing_rate import more_missing
from interlock.stats.drift.new_categories import more_new
from interlock.stats.drift.psi import FEWEST_EXPECTED, Counts, joined, psi, psi_noise
from interlock.stats.profile import NumberProfile, Profile, TextProfile

_BINS, _CATEGORIES, _NEW = 24, 6, 5
# A picture from the smallest to the largest value shows one bar when a few are far off: it then begins and ends here.
_TAIL = 0.01
# How often something unchanged may be called changed, over all columns and the three things that are looked at.
_RATE, _TESTS = 0.01, 3


def compare(contract: Contract, now: Profile, before: Profile | None) -> tuple[ColumnReport, ...]:
    """The columns in the contract's order; `before` is None for the first dataset."""
    rate = _RATE / (_TESTS * len(contract.columns))
    return tuple(_column(contract, column, now, before, rate) for column in contract.columns)


def _column(contract: Contract, column: Column, now: Profile, before: Profile | None, rate: float) -> ColumnReport:
    name = column.name
    found = now.numbers.get(name) or now.texts.get(name, TextProfile())
    # Another type than today's cannot be compared.
    earlier = (before.numbers if name in now.numbers else before.texts).get(name) if before else None
    report = ColumnReport(
        name=name,
        type=column.type,
        restricted=column.restricted,
        summary="no values",
        missing=_missing(found),
        missing_before=_missing(earlier) if earlier else None,
        changed=earlier is not None and _missing_changed(found, earlier, rate),
    )
    if not found.count:
        return report
    # Of a key every value is new.
    rate_of_values = None if column.unique or name in contract.primary_key else rate
    if isinstance(found, NumberProfile):
        numbers = earlier if isinstance(earlier, NumberProfile) and earlier.count else None
        return _histogram(column, report, found, numbers, rate_of_values)
    texts = earlier if isinstance(earlier, TextProfile) and earlier.count else None
    return _categories(report, found, texts, rate_of_values)


def _missing(found: NumberProfile | TextProfile) -> float | None:
    total = found.count + found.missing
    return found.missing / total if total else None


def _missing_changed(now: NumberProfile | TextProfile, before: NumberProfile | TextProfile, rate: float) -> bool:
    rows, rows_before = now.count + now.missing, before.count + before.missing
    if not rows or not rows_before:
        return False
    return more_missing(before.missing, rows_before, now.missing, rows, rate / 2) or more_missing(
        now.missing, rows, before.missing, rows_before, rate / 2
    )


def _histogram(
    column: Column, report: ColumnReport, now: NumberProfile, before: NumberProfile | None, rate: float | None
) -> ColumnReport:
    """Bins that are the same for both datasets; no `rate` when they are not compared."""
    both = [now, before] if before else [now]
    low = min(found.minimum for found in both if found.minimum is not None)
    high = max(found.maximum for found in both if found.maximum is not None)
    tails = [value for found in both for share in (_TAIL, 1 - _TAIL) if (value := found.quantile(share)) is not None]
    inner = min(tails), max(tails)
    cut = inner[0] < inner[1] and high / 4 - low / 4 > inner[1] - inner[0]
    first, last = inner if cut else (low, high)
    labels = _bins(column, first, last, max(found.resolution(first, last) for found in both))
    summary = f"from {_spoken(column, now.minimum)} to {_spoken(column, now.maximum)}"
    if column.numeric or now.step is not None:
        # Of moments that do not lie close together it would be right to 1% of the time since 1970.
        summary = f"median {_spoken(column, now.quantile(0.5), 3)}" + (f", {summary}" if cut else "")
    if low == high:
        summary = f"always {_spoken(column, low)}"
    if not labels:
        return report.model_copy(update={"summary": summary})
    # Where each bin is one whole number, it is in the middle of its bin.
    edges = (first - 0.5, last + 0.5) if len(labels) == last - first + 1 else (first, last)
    counts = [np.array([count for *_, count in found.histogram(len(labels), edges)], dtype=np.int64) for found in both]
    shares = [found / found.sum() for found in counts]
    # Bins of few rows say nothing alone; their neighbours join them.
    wide = _grouped(*counts) if before else counts
    moved = _moved(wide[1], wide[0], rate) if before and rate is not None else None
    return report.model_copy(
        update={
            "summary": summary,
            "shape": "histogram",
            "bars": tuple(
                Bar(label=label, now=shares[0][index], before=shares[1][index] if before else None)
                for index, label in enumerate(labels)
            ),
            "low": f"{'up to ' if cut else ''}{_spoken(column, first)}",
            "high": f"{_spoken(column, last)}{' and more' if cut else ''}",
            "moved": moved,
            "changed": report.changed or moved is not None,
        }
    )


def _bins(column: Column, low: float, high: float, finest: float) -> list[str]:
    """Labels of the bins that the profiles can tell apart; none when they can tell less than three."""
    steps = high - low + 1
    if column.type is ColumnType.INTEGER and 1 < steps <= _BINS and finest < 1:
        # Whole numbers in few steps have a bin each, or the picture would show gaps that are not there.
        return [number(round(low) + step) for step in range(round(steps))]
    bins = min(_BINS, int(high / finest - low / finest)) if finest else 0
    if bins < 3:
        return []
    edges = [low + (high / bins - low / bins) * step for step in range(bins + 1)]
    return [f"{_spoken(column, a)} to {_spoken(column, b)}" for a, b in pairwise(edges)]


def _categories(report: ColumnReport, now: TextProfile, before: TextProfile | None, rate: float | None) -> ColumnReport:
    """The most frequent categories of either dataset; of a restricted column without their names."""
    if not now.categories or max(now.categories.values()) == 1 < now.count:
        return report.model_copy(update={"summary": _uncounted(report, now)})
    known = before.categories if before else {}
    shares = {
        name: (now.categories.get(name, 0) / now.count, known.get(name, 0) / before.count if before else None)
        for name in {**now.categories, **known}
    }
    # Only values that come again and again are categories: of free text, every one is new.
    comparable = rate is not None and before is not None and not before.other and before.count >= 2 * len(known)
    fresh = [name for name in now.categories if comparable and name not in known]
    most = sorted(shares, key=lambda name: (-max(shares[name][0], shares[name][1] or 0), name))[:_CATEGORIES]
    bars = (
        Bar(
            label=None if report.restricted else name,
            now=shares[name][0],
            before=shares[name][1],
            new=name in fresh,
        )
        for name in most
    )
    update: dict[str, Any] = {
        "summary": f"{'at least ' if now.other else ''}{len(now.categories):,} different"
        f" value{'s' if len(now.categories) > 1 else ''}",
        "shape": "categories",
        "bars": tuple(bars),
    }
    if comparable and before is not None and rate is not None:
        new = sum(now.categories[name] for name in fresh)
        once = sum(count == 1 for count in known.values())
        counts = np.array([(known.get(name, 0), now.categories.get(name, 0)) for name in shares], dtype=np.int64)
        moved = _moved(np.append(counts[:, 0], 0), np.append(counts[:, 1], now.other), rate)
        update |= {
            "new_share": new / now.count,
            "new_values": () if report.restricted else tuple(fresh[:_NEW]),
            "moved": moved,
            "changed": report.changed or moved is not None or more_new(new, now.count, once, before.count, rate),
        }
    return report.model_copy(update=update)


def _uncounted(report: ColumnReport, found: TextProfile) -> str:
    """What there is to say of a column whose values are no categories: restricted numbers, free text, keys."""
    if found.categories:
        return f"{found.count:,} values, each once"
    if report.restricted or found.longest is None:
        return "not shown"
    upto = f" to {found.longest:,}" if found.longest > (found.shortest or 0) else ""
    return f"free text of {found.shortest:,}{upto} character{'s' * (found.longest != 1)}"


def _moved(before: Counts, now: Counts, rate: float) -> float | None:
    """Total variation distance of two distributions; None when chance alone gives as much."""
    fewer = joined(before, now)
    if psi(*fewer) <= psi_noise(int(before.sum()), int(now.sum()), len(fewer[0]), 1 - rate):
        return None
    return float(np.abs(now / now.sum() - before / before.sum()).sum()) / 2


def _grouped(one: Counts, other: Counts) -> list[Counts]:
    """The counts of neighbouring bins added until the smaller sample expects enough rows in each for a test."""
    enough = FEWEST_EXPECTED * (int(one.sum()) + int(other.sum())) / min(int(one.sum()), int(other.sum()))
    starts, seen = [0], 0
    for index, both in enumerate((one + other).tolist()):
        if seen >= enough:
            starts.append(index)
            seen = 0
        seen += both
    return [np.add.reduceat(counts, starts) for counts in (one, other)]


def _spoken(column: Column, value: float | None, digits: int = 4) -> str:
    """A number, or the day or time that it stands for."""
    if value is not None and column.type is ColumnType.INTEGER:
        # A quantile is right to 1%; between two whole numbers is none of them.
        return number(round(value), digits)
    if value is None or column.numeric:
        return number(value, digits)
    seconds = value * 86_400 if column.type is ColumnType.DATE else value
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return "–"
    return f"{moment:%Y-%m-%d}" if column.type is ColumnType.DATE else f"{moment:%Y-%m-%d %H:%M}"
