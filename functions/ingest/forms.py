"""How the records of a text are written, and where those of a block were found to lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ingest.parsing import Positions

# A record that spans lines may be this long before its quote counts as left open.
LONGEST = 1 << 20


@dataclass(frozen=True)
class Form:
    """How records are written: one byte between fields, one around them, so many fields a record.

    `quote` is None when nothing is quoted, `delimiter` too when every line is a record of one field (JSON Lines).
    """

    delimiter: bytes | None
    quote: bytes | None
    fields: int


@dataclass
class Split:
    """Where a block's records lie; blank lines are no records. Positions are bytes from the block's beginning.

    `starts` and `ends` are those of the records [records], `lines` their physical lines from the block's first
    [records], `counts` their numbers of fields, 0 for a quote left open [records]. `whole` are the records with the
    right number of fields; `field_starts` and `field_ends` [fields, whole] are their values' places without quotes, and
    `doubled` the (field, place in `whole`) of values in which a quote is written twice. `breaks` counts line breaks.
    """

    starts: Positions
    ends: Positions
    lines: Positions
    counts: Positions
    whole: Positions
    field_starts: npt.NDArray[np.int32]
    field_ends: npt.NDArray[np.int32]
    doubled: list[tuple[int, int]]
    breaks: int
