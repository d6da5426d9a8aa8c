"""What ingest found out about an upload: the document that the report shows and the next steps read."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from interlock.contract import Severity
from interlock.records import ObjectRef
from interlock.schema import Model
from interlock.spec import ModelId


class Example(Model):
    """A violation as it stands in the file; `value` is masked in a restricted column, `line` for text files only."""

    row: int
    line: int | None
    value: str | None


class Finding(Model):
    """All violations of one rule in one column; the first few as examples."""

    rule: str
    column: str | None
    severity: Severity
    count: int
    condition: str
    remedy: str
    examples: tuple[Example, ...] = ()


class Problem(Model):
    """What is wrong with the file as a whole."""

    rule: str
    found: str
    condition: str
    remedy: str


class Judgement(Model):
    """The verdict on an upload. Rows are counted in the file; a row with several errors is one bad row.

    `train`, `holdout` and `profile` are there for an admitted upload, `bad_rows` and `violations` whenever there
    are any.
    """

    schema_version: Literal[1] = 1
    model: ModelId
    claim: str
    source: ObjectRef
    kind: str
    verdict: Literal["admit", "reject"]
    problems: tuple[Problem, ...]
    findings: tuple[Finding, ...]
    rows: int
    bad_rows: int
    train_rows: int
    holdout_rows: int
    contract_version: str
    contract_sha256: str
    judged_at: datetime
    files: dict[Literal["train", "holdout", "profile", "bad_rows", "violations", "report"], ObjectRef] = {}
