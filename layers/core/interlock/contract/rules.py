"""Quality rules: what is not a rule of one column's values."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, model_validator

from interlock.contract.columns import Severity
from interlock.schema import Model


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
        # Rows are whole ones.
        around = {(int(end) if self.unit is Unit.ROWS else end) + step for end in ends for step in (-near, 0, near)}
        return not any(self.holds(value) for value in {near, *around, 1e15} if value >= near)

    def holds(self, value: float) -> bool:
        """Whether a metric of this value, in the rule's unit, passes."""
        return all(limit.holds(value) for limit in self.limits)

    @property
    def row_severity(self) -> Severity:
        """Of a row that violates it: its own when it allows none, else info, for the file is judged and not the row."""
        return self.severity if self.allows_none else Severity.INFO
