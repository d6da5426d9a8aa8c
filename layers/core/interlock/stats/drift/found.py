"""What was found about a window of traffic: documents, apart from how they are made, for functions without numpy."""

from __future__ import annotations

from typing import Literal

from interlock.schema import Model

State = Literal["stable", "warn", "drift", "too_few"]


class ColumnDrift(Model):
    """One column; shares are of rows with a value.

    `psi` is over the bins that are not rare, without new categories; `noise` is what chance alone gives at these sizes.
    `statistics` are all of the registry's that the column has, over all its bins; `outside` is the share of the values
    beyond the training range.
    """

    column: str
    state: State
    psi: float
    noise: float
    missing_before: float
    missing_now: float
    new_share: float
    reason: str
    bins: tuple[str, ...]
    before: tuple[float, ...]
    now: tuple[float, ...]
    outside: float = 0.0
    statistics: dict[str, float] = {}

    @property
    def moved(self) -> tuple[str, float, float] | None:
        """The bin whose share changed most, with its share before and now; None when chance may have changed it."""
        if self.psi <= self.noise and not self.new_share:
            return None
        shares = zip(self.bins, self.before, self.now, strict=True)
        return max(shares, key=lambda found: abs(found[2] - found[1]))


class TogetherDrift(Model):
    """How columns go together; `pair` is the one whose correlation changed most against its noise."""

    state: State
    rows: int
    pair: tuple[str, str]
    before: float
    now: float
    error_before: float
    error_now: float
    reason: str


class SegmentDrift(Model):
    """The rows with one value of a column, judged as the whole is; `drifted` with the most drifted first."""

    column: str
    value: str
    state: State
    rows: int
    drifted: tuple[str, ...]
    reason: str


class WindowDrift(Model):
    """The whole window; `columns` with the most drifted first."""

    state: State
    rows: int
    columns: tuple[ColumnDrift, ...]
    together: TogetherDrift | None = None
    segments: tuple[SegmentDrift, ...] = ()

    @property
    def drifted(self) -> tuple[str, ...]:
        """Names of the drifted columns, the most drifted first."""
        return tuple(column.column for column in self.columns if column.state == "drift")

    @property
    def extent(self) -> str:
        """What drifted, in words; empty when nothing did."""
        parts = [f"{len(self.drifted)} of {len(self.columns)} columns"] if self.drifted else []
        if self.together and self.together.state == "drift":
            parts.append("how columns go together")
        if drifted := [f"{part.column} {part.value}" for part in self.segments if part.state == "drift"]:
            parts.append(f"the segments {', '.join(drifted)}" if len(drifted) > 1 else f"the segment {drifted[0]}")
        return " and ".join([*([", ".join(parts[:-1])] if parts[1:] else []), *parts[-1:]])
