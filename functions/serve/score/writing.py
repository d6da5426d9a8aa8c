"""Predictions written down, row by row."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from interlock.cells import harmless
from serve.score.documents import Complaint
from serve.score.reading import Block

# Of the rows that were not scored, so many are in the result's document; all are in the predictions.
TOLD = 20
# What is said of a row: its label and score, then every class's probability; or why it has none.
Said = list[Any] | str
Answered = tuple[Block, list[Said]]


class Predictions:
    """Rows of predictions as they are written, counted on the way. `names` are all their columns."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self.rows = self.scored = 0
        self.errors: list[Complaint] = []

    def as_csv(self, blocks: Iterable[Answered], path: Path) -> None:
        """Without a header. A text that a spreadsheet would take for a formula is made a text to it."""
        with path.open("w", encoding="utf-8", newline="") as file:
            for row in self._rows(blocks):
                file.write(_line(row))

    def as_lines(self, blocks: Iterable[Answered], path: Path) -> Path:
        """As lines of JSON."""
        with path.open("w", encoding="utf-8") as file:
            for row in self._rows(blocks):
                file.write(json.dumps(dict(zip(self._names, row, strict=True))) + "\n")
        return path

    def _rows(self, blocks: Iterable[Answered]) -> Iterator[list[Any]]:
        for block, answers in blocks:
            beside: list[list[Any]] = [block.numbers, *([block.lines] if block.lines is not None else []), *block.keys]
            nothing = [None] * (len(self._names) - len(beside) - 1)
            self.rows += len(answers)
            for place, (said, *own) in enumerate(zip(answers, *beside, strict=True)):
                if isinstance(said, str):
                    if len(self.errors) < TOLD:
                        self.errors.append(Complaint(row=block.numbers[place], error=said))
                    yield [*own, *nothing, said]
                else:
                    self.scored += 1
                    yield [*own, *said, None]


def header(names: Sequence[str]) -> bytes:
    """The first line of predictions as CSV."""
    return _line(names).encode()


def _line(row: Sequence[Any]) -> str:
    return ",".join(map(_cell, row)) + "\n"


def _cell(value: Any) -> str:
    """A value in CSV. The library's own writer leaves a lone carriage return unquoted, where readers end the line."""
    if not isinstance(value, str):
        return "" if value is None else repr(value)
    text = harmless(value)
    return '"' + text.replace('"', '""') + '"' if any(sign in text for sign in ',"\r\n') else text
