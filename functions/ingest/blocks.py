"""Judges one block: which rows violate what, and, once the keys before it are known, what becomes of its rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ingest.checks import Check, Spelled
from ingest.dataset import keep
from ingest.parsing import Bytes, Mask, Positions
from ingest.profiling import profile
from ingest.quarantine import bad_lines, listed, shown, violation_lines
from ingest.row_keys import keys_of
from ingest.source import Reader, Source
from ingest.tables import Table
from ingest.uniqueness import Keys
from interlock.contract import Severity
from interlock.models import DeployedModel
from interlock.stats.profile import Profile

if TYPE_CHECKING:
    import duckdb

EXAMPLES = 5
# Row, line and value of a violation.
Shown = tuple[int, int | None, str | None]
_WORD = 62
_COLUMNS = re.compile(r"\b[rv]\d+\b")


@dataclass
class Block:
    """A block of which all is known but what stands in the others.

    `violated` are the checks' numbers with the rows that violate them, `keys` the keys of the rows that have one, by
    check, with these rows.
    """

    table: Table
    violated: list[tuple[int, Positions]]
    keys: dict[int, tuple[Positions, Keys]]


@dataclass
class Finished:
    """What a block adds to the answer; counts and first examples by the check's number, or by the rule of a form."""

    rows: int
    bad_rows: int
    counts: dict[int | str, int] = field(default_factory=dict)
    examples: dict[int | str, list[Shown]] = field(default_factory=dict)
    violations: Bytes | None = None
    bad: Bytes | None = None
    profile: Profile | None = None
    good: Path | None = None


class Judge:
    """The rules of one row, prepared for any block; used by several threads at once."""

    def __init__(self, model: DeployedModel, every: Sequence[Check]) -> None:
        self.model = model
        self.every = every
        # The checks of which earlier blocks have given all examples.
        self.shown: set[int | str] = set()
        self._met = {check.index: check.listed for check in every if check.index is not None and check.listed}

    def judge(self, con: duckdb.DuckDBPyConnection, reader: Reader) -> Block:
        """Read a block and hold it against the rules of one row."""
        table = reader(con)
        violated = [
            (number, np.flatnonzero(check.test(table.columns[check.index])))
            for number, check in enumerate(self.every)
            if check.test is not None and check.index is not None
        ]
        violated += [
            (number, self._by_bytes(table, number, check.index, check.spelled))
            for number, check in enumerate(self.every)
            if check.spelled is not None and check.index is not None
        ]
        violated += [
            (number, np.flatnonzero((table.numbered(check.index, check.listed) < 0) & table.columns[check.index].there))
            for number, check in enumerate(self.every)
            if check.listed is not None and check.index is not None
        ]
        left = [
            number
            for number, check in enumerate(self.every)
            if check.condition and check.spelled is None and check.listed is None
        ]
        violated += self._by_engine(table, left)
        keys = {number: keys_of(table, check.key) for number, check in enumerate(self.every) if check.key}
        return Block(table, [(number, rows) for number, rows in sorted(violated, key=_number) if len(rows)], keys)

    def _by_bytes(self, table: Table, number: int, index: int, spelled: Spelled) -> Positions:
        """By the bytes of a column's texts; the engine judges the rows that they leave open."""
        there = table.columns[index].there
        marked, unjudged = spelled(table.spelled(index))
        unjudged &= there
        rows = np.flatnonzero(marked & there & ~unjudged)
        if unjudged.any():
            rows = np.union1d(rows, self._by_engine(table, [number], ~unjudged)[0][1])
        return rows

    def _by_engine(self, table: Table, numbers: Sequence[int], but: Mask | None = None) -> list[tuple[int, Positions]]:
        """One scan: a bit a check's condition, for the rows that fulfil any."""
        if not numbers or not len(table.places):
            return []
        conditions = {number: self.every[number].condition for number in numbers}
        words = [numbers[low : low + _WORD] for low in range(0, len(numbers), _WORD)]
        bits = ", ".join(
            " + ".join(f"CASE WHEN {conditions[number]} THEN {1 << bit} ELSE 0 END" for bit, number in enumerate(word))
            + f" AS w{place}"
            for place, word in enumerate(words)
        )
        anything = " OR ".join(f"({condition})" for condition in conditions.values())
        columns = sorted({name for condition in conditions.values() for name in _COLUMNS.findall(condition)})
        found = table.con.execute(
            f"SELECT nth, {bits} FROM {table.relation(columns, but)} WHERE {anything}"  # noqa: S608
        ).fetchnumpy()
        return [
            (number, found["nth"][np.asarray(found[f"w{place}"], dtype=np.int64) >> bit & 1 == 1])
            for place, word in enumerate(words)
            for bit, number in enumerate(word)
        ]

    def finish(
        self, block: Block, source: Source, place: tuple[int, int | None], free: frozenset[int], good: Path | None
    ) -> Finished:
        """Write down what was found and keep the good rows.

        Args:
            block: with the repeated keys among its violations.
            source: where it comes from.
            place: number of its first row and of its first line.
            free: columns of free text.
            good: where the good rows go; None when they are not wanted.
        """
        table, (first_row, first_line) = block.table, place
        done = Finished(table.records, len(table.malformed))
        bad = self._bad(block)
        if block.violated or table.malformed:
            found = listed(table, self.every, block.violated, self.model.spec.holdout.key)
            done.violations = violation_lines(table, self.every, found, first_row, first_line)
            done.bad, done.bad_rows = bad_lines(table, source, self.every, found, first_row)
            self._count(done, block, first_row, first_line)
        done.profile = profile(table, self.model.contract, bad, self.model.spec.holdout.key, free, self._met)
        if good is not None:
            keep(table, self.model, bad, good)
            done.good = good
        table.close()
        return done

    def _bad(self, block: Block) -> Mask:
        bad = np.zeros(len(block.table.places), dtype=bool)
        for number, rows in block.violated:
            if self.every[number].severity is Severity.ERROR:
                bad[rows] = True
        return bad

    def _count(self, done: Finished, block: Block, first_row: int, first_line: int | None) -> None:
        table, salt = block.table, self.model.spec.holdout.key
        for item in table.malformed:
            # What was found, not the text: it may hold a restricted value in any place.
            line = None if first_line is None else first_line + item.line
            example = first_row + item.place, line, item.found
            done.counts[item.rule.id] = done.counts.get(item.rule.id, 0) + 1
            done.examples.setdefault(item.rule.id, []).append(example)
        for number, rows in block.violated:
            done.counts[number] = len(rows)
            if number in self.shown:
                continue
            first = rows[:EXAMPLES]
            places = table.places[first]
            lines = [None] * len(places) if first_line is None else (table.lines_of(places) + first_line).tolist()
            done.examples[number] = [
                (first_row + place, line, text)
                for place, line, text in zip(
                    places.tolist(), lines, shown(table, self.every[number], first, salt), strict=True
                )
            ]


def _number(item: tuple[int, Positions]) -> int:
    return item[0]
