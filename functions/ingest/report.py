"""The page that a person reads about an upload."""

from __future__ import annotations

from typing import Any

from ingest.judgement import Judgement
from interlock.contract import Column, Contract
from interlock.report import number, page
from interlock.stats.profile import NumberProfile, Profile, TextProfile

_BARS = 12


def html(judgement: Judgement, contract: Contract, profile: Profile | None) -> str:
    """Render the report; verdict first, then what failed, then every column."""
    return page(
        "ingest",
        judgement=judgement,
        file=judgement.source.key.rsplit("/", 1)[-1],
        columns=[_column(column, profile) for column in contract.columns] if profile and profile.rows else [],
    )


def _column(column: Column, profile: Profile) -> dict[str, Any]:
    numbers, texts = profile.numbers.get(column.name), profile.texts.get(column.name)
    found = numbers or texts or TextProfile()
    total = found.count + found.missing
    return {
        "name": column.name,
        "type": column.type.value,
        "restricted": column.restricted,
        "missing": found.missing / total if total else None,
        "shares": _shares(found),
        "range": _range(found),
    }


def _shares(found: NumberProfile | TextProfile) -> list[float]:
    if isinstance(found, NumberProfile):
        counts = [count for *_, count in found.histogram(_BARS)]
    else:
        counts = list(found.categories.values())[:_BARS]
    return [count / found.count for count in counts] if found.count else []


def _range(found: NumberProfile | TextProfile) -> str:
    if isinstance(found, NumberProfile):
        return f"{number(found.minimum)} to {number(found.maximum)}, median {number(found.quantile(0.5), 3)}"
    names = list(found.categories)
    more = len(names) - 3
    return ", ".join(names[:3]) + (f" and {more} more" if more > 0 else "")
