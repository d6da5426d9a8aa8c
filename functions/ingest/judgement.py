"""What ingest found out about an upload: the document that the report shows and the next steps read."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from ingest.findings import Finding, Problem
from interlock.contract import ColumnType, Severity
from interlock.records import CheckStatus, Mode, ObjectRef, Origin
from interlock.schema import Model
from interlock.spec import ModelId
from interlock.stats.drift.found import WindowDrift


class Outcome(Model):
    """A rule about the upload as a whole, or about it beside the batches before, held against what was found.

    `found` and `limit` are for people ("26 of 2,000 rows (1.3%) have no place", "at most 2%"); `value` is the number
    that was compared, in the rule's unit. One that fails is a problem too, and rejects the upload; both carry the id of
    the contract's quality rule as `rule`.
    """

    rule: str
    name: str = ""
    columns: tuple[str, ...] = ()
    status: CheckStatus
    value: float | None = None
    found: str
    limit: str = ""
    remedy: str = ""


class Previous(Model):
    """The last admitted dataset, beside which the columns are shown."""

    dataset: str
    claim: str
    file: str
    rows: int
    admitted_at: datetime


class Bar(Model):
    """A share of a column's values (0 to 1), now and in the last admitted dataset (None without one).

    `label` names a category or a bin; it is None for a restricted value. `new` is a category that the last admitted
    dataset did not have.
    """

    label: str | None
    now: float
    before: float | None = None
    new: bool = False


class ColumnReport(Model):
    """A column of the good rows beside the last admitted dataset. Shares are fractions of 0 to 1.

    `bars` are a histogram's bins from `low` to `high` (the same for both datasets), or the most frequent categories.
    `missing` is a share of the rows; `new_share` the share of the values that the last admitted dataset never had;
    `moved` the share of the values that would have to change to give the distribution before (the total variation
    distance over bins or categories), None when chance alone gives as much; `changed` says that this, the missing or
    the new values are more than chance explains.
    """

    name: str
    type: ColumnType
    restricted: bool = False
    summary: str
    shape: Literal["histogram", "categories", "none"] = "none"
    bars: tuple[Bar, ...] = ()
    low: str | None = None
    high: str | None = None
    missing: float | None = None
    missing_before: float | None = None
    new_share: float | None = None
    new_values: tuple[str, ...] = ()
    moved: float | None = None
    changed: bool = False


class BesideTraining(Model):
    """The good rows beside the `rows` that `run` was trained on; `version` is the one that serves, None when none does.

    `drift` is judged as a window of traffic is (`monitoring.drift` of model.yaml), from profiles alone.
    """

    run: str
    version: int | None
    rows: int
    drift: WindowDrift

    @property
    def told(self) -> str:
        """Beside what, in words."""
        what = f"what version {self.version} was trained on" if self.version else f"the training data of run {self.run}"
        return f"{what} ({self.rows:,} rows)"


class Judgement(Model):
    """The verdict on an upload. Rows are counted in the file; a row with several errors is one bad row.

    `train`, `holdout` and `profile` are there for an admitted upload, `bad_rows` and `violations` whenever there
    are any. `origin` names the upload whose bad rows were mended and sent again as this one; `columns` speak of the
    good rows, beside the dataset `previous`.
    """

    schema_version: Literal[1] = 1
    model: ModelId
    claim: str
    source: ObjectRef
    origin: Origin | None = None
    kind: str
    verdict: Literal["admit", "reject"]
    problems: tuple[Problem, ...]
    outcomes: tuple[Outcome, ...] = ()
    findings: tuple[Finding, ...]
    rows: int
    bad_rows: int
    train_rows: int
    holdout_rows: int
    contract_version: str
    contract_sha256: str
    judged_at: datetime
    previous: Previous | None = None
    columns: tuple[ColumnReport, ...] = ()
    training: BesideTraining | None = None
    mode: Mode = Mode.APPEND
    uploaded_at: datetime | None = None
    content_sha256: str | None = None
    files: dict[Literal["train", "holdout", "profile", "bad_rows", "violations", "report"], ObjectRef] = {}

    @property
    def worst_first(self) -> list[Finding]:
        """The findings that make rows bad first, and of each severity the most frequent first."""
        return sorted(self.findings, key=lambda item: (list(Severity).index(item.severity), -item.count))


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a judgement, published as `docs/judgement.schema.json`."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:interlock:judgement:1",
        **Judgement.model_json_schema(),
    }
