"""What the steps of scoring a file hand to each other, and the document that they answer with."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from interlock.errors import InvalidUpload
from interlock.records import ObjectRef
from interlock.schema import Model
from interlock.spec import ModelId
from interlock.streams import Fault


class Form(StrEnum):
    """How a file is written."""

    CSV = "CSV"
    JSON_LINES = "JSON Lines"
    PARQUET = "Parquet"

    @property
    def answered_as(self) -> Literal["csv", "parquet"]:
        """The ending of its predictions: Parquet for Parquet, CSV for what is text."""
        return "parquet" if self is Form.PARQUET else "csv"


class Layout(Model):
    """How the rows of a file are written: `columns` and `delimiter` are CSV's."""

    form: Form
    columns: tuple[str, ...] = ()
    delimiter: str = ","


class Release(Model):
    """The version that scores the whole file: the champion when the work on it began."""

    version: int
    revision: int
    served: ObjectRef


class Piece(Model):
    """Rows that one function scores: the uploaded file itself, or (with a layout) a piece that was cut of it.

    A piece of text holds UTF-8 records without a header. `first_row` counts the file's rows from 1, `first_line` the
    physical lines of its text.
    """

    index: int
    key: str
    version: str
    layout: Layout | None = None
    first_row: int = 1
    first_line: int = 1


class Complaint(Model):
    """A row that was not scored, and why; never with a value of it."""

    row: int
    error: str


class Scored(Model):
    """What became of a piece: its predictions (a file without a header, where it is CSV), and counts.

    `columns` are those of the predictions, `source` the uploaded file as it was read, where the piece was all of it.
    """

    schema_version: Literal[1] = 1
    index: int
    form: Form
    columns: tuple[str, ...]
    rows: int
    scored: int
    errors: tuple[Complaint, ...]
    predictions: ObjectRef
    source: ObjectRef | None = None


class Result(Model):
    """The answer to a file, `predictions/<model>/<claim>/result.json`, written last.

    Of a file that was not scored, `error` is the error's class and `message` what it says; the rest is not there.
    `errors` are the first rows that were not scored; all of them are in the predictions.
    """

    schema_version: Literal[1] = 1
    model: ModelId
    claim: str
    key: str
    state: Literal["scored", "failed"]
    error: str | None = None
    message: str | None = None
    version: int | None = None
    revision: int | None = None
    rows: int = 0
    scored: int = 0
    errors: tuple[Complaint, ...] = ()
    source: ObjectRef | None = None
    predictions: ObjectRef | None = None

    @property
    def bad(self) -> int:
        """Rows that were not scored."""
        return self.rows - self.scored


def unreadable(_fault: Fault, found: str) -> InvalidUpload:
    """A file that cannot be scored as a whole, with what is wrong with it."""
    return InvalidUpload(found, remedy="Put a CSV, JSON Lines or Parquet file under score/<model>/.")
