"""What the engine finds in a file: parts of the judgement on it (`ingest.judgement`)."""

from __future__ import annotations

from interlock.contract import Severity
from interlock.schema import Model


class Example(Model):
    """A violation as it stands in the file; `value` is masked in a restricted column, `line` for text files only.

    `file` names one of the files of a set.
    """

    row: int
    line: int | None
    value: str | None
    file: str | None = None


class Finding(Model):
    """All violations of one rule in one column; the first few as examples.

    `quality` is the id of the contract's quality rule that was violated, when it is not one of the column's own.
    """

    rule: str
    column: str | None
    quality: str | None = None
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
