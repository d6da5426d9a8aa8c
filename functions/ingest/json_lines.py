"""A block of JSON Lines as a table: the engine reads the lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ingest import arrow, parsing, records, rules
from ingest.forms import Form
from ingest.parsing import PAD, Fields, Positions
from ingest.spans import Mark, Spans
from ingest.tables import Malformed, Table, Texts, malformed
from interlock.contract import Contract
from interlock.sql import text

if TYPE_CHECKING:
    import duckdb

LINES = Form(None, None, 1)


class JsonTable(Table):
    """A block of JSON Lines; `names` are all names that its objects have."""

    def __init__(self, con: duckdb.DuckDBPyConnection, block: records.Block, contract: Contract) -> None:
        self._block = block
        self._split = split = records.split(block, LINES)
        self.records, self.lines = len(split.starts), split.breaks
        undecodable = records.undecodable(block.data, split)
        self.malformed = malformed(split, undecodable, 1)
        readable = np.flatnonzero(~np.isin(split.whole, undecodable))
        data = np.frombuffer(bytes(PAD) + block.data + bytes(PAD), dtype=np.uint8)
        lines = Fields(
            *(data, parsing.words_of(data)),
            *(split.field_starts[0][readable] + PAD, split.field_ends[0][readable] + PAD),
        )
        there = np.ones(len(lines), dtype=bool)
        relation = arrow.Relation(
            len(lines),
            [
                arrow.numbers("place", split.whole[readable]),
                arrow.texts("line", parsing.views(lines), data, there),
            ],
        )
        con.register("lines", relation)
        # One flat object with every name once.
        con.execute(
            "CREATE OR REPLACE TEMP TABLE objects AS SELECT place, line FROM lines WHERE CASE WHEN"
            " coalesce(json_valid(line), false) THEN CASE WHEN json_type(line) = 'OBJECT' THEN"
            " len(json_keys(line)) = len(list_distinct(json_keys(line))) AND len(list_filter(json_extract(line, '$.*'),"
            " lambda x: json_type(x) IN ('OBJECT', 'ARRAY'))) = 0 END END"
        )
        con.unregister("lines")
        relation.release()
        self.names = {
            name for (name,) in con.execute("SELECT DISTINCT unnest(json_keys(line)) FROM objects").fetchall()
        }
        values = ", ".join(
            f"json_extract_string(line, {text('$.' + _json_name(column.in_file))})" for column in contract.columns
        )
        parts = list(arrow.answers(con, f"SELECT {values} FROM objects ORDER BY place"))  # noqa: S608
        self.places = con.execute("SELECT place FROM objects ORDER BY place").fetchnumpy()["place"]
        con.execute("DROP TABLE objects")
        wrong = np.setdiff1d(split.whole[readable], self.places).tolist()
        self.malformed += [
            Malformed(place, int(split.lines[place]), rules.JSON, "not one flat JSON object") for place in wrong
        ]
        self.malformed.sort(key=lambda item: item.place)
        super().__init__(
            con, contract, [_joined([part[index] for part in parts]) for index in range(len(contract.columns))]
        )

    def raw(self, places: Positions) -> list[Spans | Mark]:
        """The lines."""
        return [records.lines(self._block, self._split, places)]

    def lines_of(self, places: Positions) -> Positions:
        """A record is a line; blank ones lie between."""
        return self._split.lines[places]


def _joined(parts: Sequence[arrow.Column]) -> Texts:
    """Texts that came in parts, of which each counts its places from its own beginning."""
    nothing = np.zeros(PAD, dtype=np.uint8)
    data = np.concatenate([nothing, *(part.data[PAD:-PAD] for part in parts if part.data is not None), nothing])
    lengths = [np.diff(part.values).astype(np.int64) for part in parts]
    places = np.cumsum(np.concatenate([np.array([PAD]), *lengths]))
    there = np.concatenate([np.zeros(0, dtype=bool), *(part.there for part in parts)])
    return Texts.of(arrow.Column(there, places, data))


def _json_name(name: str) -> str:
    return '"' + name.replace('"', '\\"') + '"'
