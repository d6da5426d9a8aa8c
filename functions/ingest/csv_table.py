"""A block of a CSV file as a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ingest import parsing, records
from ingest.forms import Form
from ingest.parsing import PAD, Fields, Positions
from ingest.spans import Mark, Spans
from ingest.tables import Table, Texts, malformed
from interlock.contract import Contract

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Layout:
    """How the file's records map to the contract: `fields[i]` is the place of the contract's column i in a record."""

    contract: Contract
    form: Form
    fields: tuple[int, ...]
    decimal: str = "."
    thousands: str | None = None


class CsvTable(Table):
    """A block of a CSV file."""

    def __init__(self, con: duckdb.DuckDBPyConnection, block: records.Block, layout: Layout) -> None:
        self._block, self._layout = block, layout
        self._split = split = records.split(block, layout.form)
        self.records, self.lines = len(split.starts), split.breaks
        undecodable = records.undecodable(block.data, split)
        self.malformed = malformed(split, undecodable, layout.form.fields)
        kept: Positions | slice = slice(None)
        self.places = split.whole
        if undecodable:
            kept = np.flatnonzero(~np.isin(split.whole, undecodable))
            self.places = split.whole[kept]
        data = self._bytes()
        words = parsing.words_of(data)
        read = [
            Texts(Fields(data, words, split.field_starts[place][kept] + PAD, split.field_ends[place][kept] + PAD))
            for place in layout.fields
        ]
        super().__init__(con, layout.contract, read, layout.decimal, layout.thousands)

    def raw(self, places: Positions) -> list[Spans | Mark]:
        """The file's own bytes."""
        return [records.lines(self._block, self._split, places)]

    def lines_of(self, places: Positions) -> Positions:
        """Records may span lines, and blank lines lie between."""
        return self._split.lines[places]

    def _bytes(self) -> parsing.Bytes:
        """The block's bytes between paddings; values with doubled quotes are written once more behind them."""
        split, data, quote = self._split, self._block.data, self._layout.form.quote or b""
        written, position = [bytes(PAD), data], len(data)
        for field, row in split.doubled:
            start, end = split.field_starts[field, row], split.field_ends[field, row]
            value = data[start:end].replace(quote + quote, quote)
            split.field_starts[field, row], split.field_ends[field, row] = position, position + len(value)
            position += len(value)
            written.append(value)
        return np.frombuffer(b"".join([*written, bytes(PAD)]), dtype=np.uint8)
