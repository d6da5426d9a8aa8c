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

from interlock.contract.columns import STORED_TYPES, Column, ColumnType, Severity
from interlock.contract.document import Contract, Dialect
from interlock.contract.rules import Limit, Metric, Operator, QualityRule, Unit

__all__ = [
    "STORED_TYPES",
    "Column",
    "ColumnType",
    "Contract",
    "Dialect",
    "Limit",
    "Metric",
    "Operator",
    "QualityRule",
    "Severity",
    "Unit",
]
