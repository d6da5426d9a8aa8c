"""The data contract as every stage uses it; `interlock.odcs` reads it from the public standard's YAML.

What a rule does with a row that violates it:

- A rule that allows none (`required`, a bound, `mustBe: 0` …) judges each row. With the severity `error` the row is
  bad: it goes to quarantine, and too many bad rows (`max_bad_row_share`) reject the file. With `warning` or `info` the
  row is kept and the violation is listed.
- A rule with a tolerance (`mustBeLessThan: 5`, unit percent) judges the file. The rows that violate it are kept,
  counted and listed as `info`; when the count is beyond the limit the whole file is rejected (`error`), or the report
  says so (`warning`, `info`).
- A rule about the file alone (rowCount, freshness, rowCountChange, newCategories, driftedColumns, sql) has no rows: its
  outcome rejects or is told like that of a rule with a tolerance.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, model_validator

from interlock.errors import InvalidContract
from interlock.schema import Model


class ColumnType(StrEnum):
    """Logical types of the Open Data Contract Standard that are enforced."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"


# As what ingest writes a type, in the engine's words.
STORED_TYPES = {
    ColumnType.STRING: "VARCHAR",
    ColumnType.INTEGER: "BIGINT",
    ColumnType.NUMBER: "DOUBLE",
    ColumnType.BOOLEAN: "BOOLEAN",
    ColumnType.DATE: "DATE",
    ColumnType.TIMESTAMP: "TIMESTAMP",
}


class Severity(StrEnum):
    """What a violation does: an error makes the row bad or rejects the file; a warning or an info is only reported."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Column(Model):
    """One column and the rules for its values; a bound of None is no bound.

    A missing value violates `required` and nothing else. Numbers are bounded by `minimum` … `exclusive_maximum`, dates
    and timestamps by `earliest` (inclusive), `after` (exclusive), `latest` (inclusive) and `before` (exclusive),
    written `yyyy-MM-dd` or `yyyy-MM-ddTHH:mm:ss[.ffffff]` in UTC. Both kinds are the rules `minimum` and `maximum`.

    Attributes:
        physical_name: the column's name in the file, where it is another one than `name`.
        multiple_of: the value divided by it is a whole number (to 1e-9 of itself for a number, exactly for an integer).
        format: of a date or timestamp, its exact form in Java's letters (`interlock.formats.c_format`); of a string, a
            name in `interlock.formats.TEXT_FORMATS`, whose pattern it must match and whose length it must keep.
        missing_tokens: texts that mean a missing value in this column, beside the contract's null tokens.
        timezone: whether a timestamp's text ends with its zone (Z or an offset): True must, False must not, None may.
        severity: of every rule of the column that `severities` does not name.
        severities: severity by rule: required, minimum, maximum, multiple_of, length, pattern, allowed, format,
            timezone, unique. A value that is not of the column's type is always an error: it cannot be kept.
    """

    name: str = Field(min_length=1)
    type: ColumnType
    physical_name: str | None = Field(default=None, min_length=1)
    description: str = ""
    required: bool = False
    unique: bool = False
    restricted: bool = False
    minimum: int | float | None = None
    maximum: int | float | None = None
    exclusive_minimum: int | float | None = None
    exclusive_maximum: int | float | None = None
    multiple_of: int | float | None = Field(default=None, gt=0)
    earliest: str | None = None
    latest: str | None = None
    after: str | None = None
    before: str | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    allowed: tuple[str, ...] | None = None
    format: str | None = None
    timezone: bool | None = None
    missing_tokens: tuple[str, ...] = ()
    severity: Severity = Severity.ERROR
    severities: dict[str, Severity] = {}

    @property
    def numeric(self) -> bool:
        """Whether its values are numbers."""
        return self.type in {ColumnType.INTEGER, ColumnType.NUMBER}

    @property
    def moment(self) -> bool:
        """Whether its values are dates or times."""
        return self.type in {ColumnType.DATE, ColumnType.TIMESTAMP}

    @property
    def in_file(self) -> str:
        """Its name in the file."""
        return self.physical_name or self.name

    def severity_of(self, rule: str) -> Severity:
        """How much a violation of that rule of `ingest.rules` matters."""
        return Severity.ERROR if rule == "type" else self.severities.get(rule, self.severity)


class Metric(StrEnum):
    """What a quality rule counts or measures. The first five and sql are the standard's, the others Interlock's.

    Every metric that counts rows leaves out those that cannot be read at all (a malformed row), and counts the others
    whatever else is wrong with them.
    """

    NULL_VALUES = "nullValues"
    """Rows whose value in the column is missing: null, a null token, one of the column's missing tokens."""
    MISSING_VALUES = "missingValues"
    """The same: the tokens that a missingValues rule names are the column's `missing_tokens`."""
    INVALID_VALUES = "invalidValues"
    """Rows whose value is there and not one of `allowed`, or does not match `pattern`, or is not of the type."""
    DUPLICATE_VALUES = "duplicateValues"
    """Rows whose values in all the columns came in an earlier row; a row with one of them missing has no double."""
    ROW_COUNT = "rowCount"
    """Rows of the file."""
    SQL = "sql"
    """The one number that a query over the good rows gives."""
    COMPARE = "compare"
    """Rows whose values in both columns are there, and whose first is not in the `relation` to the second."""
    FRESHNESS = "freshness"
    """Time from the newest value of a date (its midnight, UTC) or timestamp column to the upload."""
    ROW_COUNT_CHANGE = "rowCountChange"
    """Rows of the file beyond the median of the last admitted datasets; percent: of that median."""
    NEW_CATEGORIES = "newCategories"
    """Good rows whose value in the column is in none of the last admitted datasets."""
    DRIFTED_COLUMNS = "driftedColumns"
    """Columns whose good rows have drifted from what the model was trained on; percent: of those compared."""


class Operator(StrEnum):
    """How a metric is held against its limit, as the standard names it."""

    MUST_BE = "mustBe"
    MUST_NOT_BE = "mustNotBe"
    MUST_BE_GREATER_THAN = "mustBeGreaterThan"
    MUST_BE_GREATER_OR_EQUAL_TO = "mustBeGreaterOrEqualTo"
    MUST_BE_LESS_THAN = "mustBeLessThan"
    MUST_BE_LESS_OR_EQUAL_TO = "mustBeLessOrEqualTo"
    MUST_BE_BETWEEN = "mustBeBetween"
    MUST_NOT_BE_BETWEEN = "mustNotBeBetween"


class Unit(StrEnum):
    """Rows, percent of the file's rows (of the good rows for newCategories), or a time for freshness.

    Of driftedColumns, columns and percent of them.
    """

    ROWS = "rows"
    PERCENT = "percent"
    MINUTES = "minutes"
    HOURS = "hours"
    DAYS = "days"


_COUNT_ROWS = {
    *(Metric.NULL_VALUES, Metric.MISSING_VALUES, Metric.INVALID_VALUES, Metric.DUPLICATE_VALUES),
    Metric.COMPARE,
}


class Limit(Model):
    """One operator and its number; the two `between` have two, both ends counted in."""

    operator: Operator
    value: Annotated[tuple[float, ...], Field(min_length=1, max_length=2)]

    @model_validator(mode="after")
    def _has_its_numbers(self) -> Limit:
        between = self.operator in {Operator.MUST_BE_BETWEEN, Operator.MUST_NOT_BE_BETWEEN}
        if len(self.value) != (2 if between else 1) or (between and self.value[0] > self.value[1]):
            raise ValueError(f"{self.operator} takes {'two numbers, the smaller first' if between else 'one number'}")
        return self

    def holds(self, value: float) -> bool:
        """Whether a metric of this value passes."""
        low, high = self.value[0], self.value[-1]
        match self.operator:
            case Operator.MUST_BE:
                return value == low
            case Operator.MUST_NOT_BE:
                return value != low
            case Operator.MUST_BE_GREATER_THAN:
                return value > low
            case Operator.MUST_BE_GREATER_OR_EQUAL_TO:
                return value >= low
            case Operator.MUST_BE_LESS_THAN:
                return value < low
            case Operator.MUST_BE_LESS_OR_EQUAL_TO:
                return value <= low
            case Operator.MUST_BE_BETWEEN:
                return low <= value <= high
            case Operator.MUST_NOT_BE_BETWEEN:
                return not low <= value <= high


class QualityRule(Model):
    """A quality rule that is no rule of one column's values: with a tolerance, over several columns, over the file.

    Attributes:
        id: unique within the contract, and the same as long as the rule is (findings and outcomes carry it).
        metric: what is counted.
        columns: names of the columns it looks at; for `compare` the two in their order; empty for the file.
        limits: all must hold.
        unit: of the limits.
        severity: what happens when they do not.
        name: what the contract calls it, for people.
        allowed: of invalidValues; by value, as the column's own list.
        pattern: of invalidValues; found anywhere in the text, as the column's own.
        relation: of compare.
        query: of sql: one SELECT over the contract's `table`, as `interlock.sandbox` runs it.
        batches: how many of the last admitted datasets rowCountChange and newCategories look at.
    """

    id: str = Field(min_length=1)
    metric: Metric
    columns: tuple[str, ...] = ()
    limits: tuple[Limit, ...] = Field(min_length=1)
    unit: Unit = Unit.ROWS
    severity: Severity = Severity.ERROR
    name: str = ""
    allowed: tuple[str, ...] | None = None
    pattern: str | None = None
    relation: Annotated[str, Field(pattern="^(<|<=|=|!=|>=|>)$")] | None = None
    query: str | None = None
    batches: int = Field(default=5, ge=1, le=50)

    @model_validator(mode="after")
    def _says_what_it_compares(self) -> QualityRule:
        if self.metric is Metric.COMPARE and self.relation is None:
            raise ValueError("compare needs its relation: <, <=, =, !=, >= or >")
        return self

    @property
    def by_row(self) -> bool:
        """Whether single rows violate it: they are counted and listed."""
        return self.metric in _COUNT_ROWS

    @property
    def allows_none(self) -> bool:
        """Whether each row that violates it is an offence of its own: it holds for no such row, and for no number."""
        if not self.by_row or not self.holds(0):
            return False
        # Between two neighbouring limits nothing changes, so that these numbers stand for all.
        near = 1.0 if self.unit is Unit.ROWS else 1e-9
        ends = {end for limit in self.limits for end in limit.value}
        around = {whole + step for end in ends for whole in (int(end), end) for step in (-near, 0, near)}
        return not any(self.holds(value) for value in {near, *around, 1e15} if value >= near)

    def holds(self, value: float) -> bool:
        """Whether a metric of this value, in the rule's unit, passes."""
        return all(limit.holds(value) for limit in self.limits)

    @property
    def row_severity(self) -> Severity:
        """Of a row that violates it: its own when it allows none, else info, for the file is judged and not the row."""
        return self.severity if self.allows_none else Severity.INFO


class Dialect(Model):
    """How a CSV file of this contract is written; what is None is found out from the file.

    Attributes:
        delimiter: one character between fields.
        quote: the character around fields that hold a delimiter, a line break or a quote (then written twice);
            empty: none is quoted.
        encoding: utf-8, utf-16, latin-1 or windows-1252.
        decimal: the mark before a number's decimals.
        thousands: a mark between a number's thousands that is left out when reading; None: there is none.
        header: whether the first line names the columns; without one they are in the contract's order.
    """

    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    quote: str | None = Field(default=None, max_length=1)
    encoding: Annotated[str, Field(pattern="^(utf-8|utf-16|latin-1|windows-1252)$")] | None = None
    decimal: Annotated[str, Field(pattern="^[.,]$")] = "."
    thousands: Annotated[str, Field(pattern="^[.,' _\u00a0]$")] | None = None
    header: bool = True

    @model_validator(mode="after")
    def _told_apart(self) -> Dialect:
        marks = [mark for mark in (self.delimiter, self.quote, self.decimal, self.thousands) if mark]
        if len(set(marks)) < len(marks) and not (self.delimiter == "," == self.decimal):
            raise ValueError("delimiter, quote, decimal and thousands must be different characters")
        return self


class Contract(Model):
    """What an upload must be. `primary_key` may be empty; shares are fractions of the rows in the file.

    `quality` holds the rules beyond a column's own values, `dialect` how its CSV files are written (None: found out).
    `table` is the name under which sql rules find the rows, `subject` the column that says whose row it is, for
    `interlock forget`.
    """

    schema_version: int = 1
    id: str
    version: str
    table: str = "upload"
    columns: tuple[Column, ...] = Field(min_length=1)
    primary_key: tuple[str, ...] = ()
    subject: str | None = None
    min_rows: int = 1
    max_rows: int | None = None
    max_bad_row_share: float = Field(default=0.0, ge=0, le=1)
    null_tokens: tuple[str, ...] = ("",)
    dialect: Dialect | None = None
    quality: tuple[QualityRule, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Contract:
        names = [column.name for column in self.columns]
        for listed in (names, [column.in_file for column in self.columns]):
            folded = [name.casefold() for name in listed]
            if doubled := sorted({name for name in listed if folded.count(name.casefold()) > 1}):
                raise ValueError(f"columns named twice (upper and lower case are the same): {', '.join(doubled)}")
            if reserved := [name for name in folded if name.startswith("interlock_")]:
                raise ValueError(f"names that begin with interlock_ are Interlock's own: {', '.join(reserved)}")
        if unknown := sorted(set(self.primary_key) - set(names)):
            raise ValueError(f"primary key names unknown columns: {', '.join(unknown)}")
        if self.subject is not None and self.subject not in names:
            raise ValueError(f"the subject key is no column: {self.subject}")
        for rule in self.quality:
            if unknown := sorted(set(rule.columns) - set(names)):
                raise ValueError(f"quality rule '{rule.id}' names unknown columns: {', '.join(unknown)}")
            if rule.metric is Metric.COMPARE:
                left, right = (self.column(name).type for name in rule.columns)
                if left is not right and not (
                    self.column(rule.columns[0]).numeric and self.column(rule.columns[1]).numeric
                ):
                    raise ValueError(f"quality rule '{rule.id}' compares a {left} with a {right}")
        ids = [rule.id for rule in self.quality]
        if doubled := sorted({name for name in ids if ids.count(name) > 1}):
            raise ValueError(f"quality rules with the same id: {', '.join(doubled)}")
        return self

    def column(self, name: str) -> Column:
        """The column of that name.

        Raises:
            InvalidContract: there is none.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise InvalidContract(
            f"contract {self.id} has no column '{name}'; it has {', '.join(c.name for c in self.columns)}"
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names in the contract's order."""
        return tuple(column.name for column in self.columns)
