"""Writes docs/contract.md and docs/rules.md from what the code enforces: `make docs`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from ingest.rules import ABOUT_A_ROW, ABOUT_A_VALUE, ABOUT_THE_FILE, Rule
from interlock.contract import Metric
from interlock.formats import TEXT_FORMATS, UNCHECKABLE_FORMATS
from interlock.odcs import parts
from interlock.odcs.parts import Part, Treatment

_DOCS = Path(__file__).parents[2] / "docs"
_METRICS = {
    Metric.NULL_VALUES: ("column", "", "rows without a value"),
    Metric.MISSING_VALUES: ("column", "`missingValues`: texts that mean none in this column", "rows without a value"),
    Metric.INVALID_VALUES: ("column", "`validValues` or `pattern`, or both", "rows with a value that is not valid"),
    Metric.DUPLICATE_VALUES: (
        "column or table",
        "on the table: `properties`, the columns that are compared together",
        "rows whose values came in an earlier row",
    ),
    Metric.ROW_COUNT: ("table", "", "rows of the file"),
    Metric.SQL: (
        "column or table",
        "`query`: one SELECT over `${table}`",
        "the number it gives over the good rows; of a restricted column only whether it holds is told",
    ),
    Metric.COMPARE: (
        "table",
        "`left`, `relation` (`<` `<=` `=` `!=` `>=` `>`, in quotes), `right`; without an operator none may violate it",
        "rows whose two values are there and not in the relation",
    ),
    Metric.FRESHNESS: ("column", "unit: minutes, hours or days", "from the newest value to the upload"),
    Metric.ROW_COUNT_CHANGE: (
        "table",
        "`batches` (5): how many of the last datasets",
        "rows more or fewer than their median; in percent, of it",
    ),
    Metric.NEW_CATEGORIES: (
        "column",
        "`batches` (5): how many of the last datasets",
        "good rows whose value none of them had",
    ),
    Metric.DRIFTED_COLUMNS: (
        "table",
        "",
        "features and target that drifted from what the serving version was trained on; without a rule it is told only",
    ),
}
_OWN = {Metric.COMPARE, Metric.FRESHNESS, Metric.ROW_COUNT_CHANGE, Metric.NEW_CATEGORIES, Metric.DRIFTED_COLUMNS}


def documents() -> dict[str, str]:
    """The pages by their names in docs/."""
    return {"contract.md": "\n".join(_contract()) + "\n", "rules.md": "\n".join(_rules()) + "\n"}


def write() -> None:
    """Write the pages."""
    for name, text in documents().items():
        (_DOCS / name).write_text(text, "utf-8")


def _contract() -> Iterator[str]:
    yield "# The contract"
    yield ""
    yield (
        "What of the [Open Data Contract Standard](https://bitol-io.github.io/open-data-contract-standard) v3 a"
        " contract.yaml may hold, and what becomes of it. A part that bears on data is enforced, or it is refused when"
        " you deploy, with its place and the reason; what describes is free to be there. This page is made from the"
        " code that reads contracts (`make docs`); a test notices when they differ."
    )
    yield ""
    yield "## What a rule does"
    yield (
        "- A rule that **allows none** (`required`, a bound, `mustBe: 0` …) judges each row. `severity: error`, the"
        " default, makes the row bad: it goes to quarantine, and too many bad rows (`maxBadRowShare`) reject the file."
        " `warning` and `info` keep the row and list it."
    )
    yield (
        "- A rule with a **tolerance** (`mustBeLessThan: 5`, `unit: percent`) judges the file. The rows that violate it"
        " are kept, counted and listed; beyond the limit the file is rejected (`error`), or the report says so."
    )
    yield "- A rule **about the file** (row count, freshness, a query, …) rejects it, or is told, in the same way."
    yield ""
    yield "A missing value violates `required` and `nullValues`, and no other rule."
    for title, known in (
        ("The document", parts.DOCUMENT),
        ("The table: `schema[0]`", parts.SCHEMA),
        ("A column: `schema[0].properties[]`", parts.PROPERTY),
        ("A quality rule: `quality[]`", parts.RULE),
    ):
        yield ""
        yield f"## {title}"
        yield from _parts(known)
    yield from _types()
    yield from _metrics()
    yield ""
    yield "## Interlock's own settings: `schema[0].customProperties`"
    yield "| property | |"
    yield "|---|---|"
    for name, note in parts.SETTINGS.items():
        yield f"| `{name}` | {note} |"
    yield ""
    yield "## Service levels: `slaProperties`"
    yield (
        "What a service promises is free to be there (availability, retention, support and the like); what speaks of"
        " the data (latency, frequency, …) is refused: write a freshness rule."
    )


def _types() -> Iterator[str]:
    yield ""
    yield "## Types and their options"
    yield "| logicalType | option | |"
    yield "|---|---|---|"
    for kind, options in parts.OPTIONS.items():
        if not options:
            yield f"| {kind} | none | |"
        for option, part in options.items():
            yield f"| {kind} | `{option}` | {part.note} |"
    for name, reason in parts.TYPES_REFUSED.items():
        yield f"| {name} | | **refused**: {reason} |"
    yield ""
    yield "Dates and times are ISO 8601, or exactly their `format` (yyyy MM dd HH mm ss SSS SSSSSS); a time without a"
    yield "zone is UTC. Formats of a string:"
    yield ""
    yield "| format | |"
    yield "|---|---|"
    for name, form in TEXT_FORMATS.items():
        yield f"| `{name}` | {form.says} |"
    for name, reason in UNCHECKABLE_FORMATS.items():
        yield f"| `{name}` | **refused**: {reason} |"


def _metrics() -> Iterator[str]:
    yield ""
    yield "## Metrics"
    yield "| metric | on | takes | counts |"
    yield "|---|---|---|---|"
    for metric, (level, takes, counts) in _METRICS.items():
        own = " (Interlock's own)" if metric in _OWN else ""
        yield f"| `{metric}`{own} | {level} | {takes} | {counts} |"
    yield ""
    yield "Interlock's own stand in the place that the standard has for them:"
    yield "```yaml"
    yield "quality:"
    yield "  - type: custom"
    yield "    engine: interlock"
    yield "    severity: error"
    yield '    implementation: {metric: compare, left: admitted_on, relation: "<=", right: discharged_on}'
    yield "  - type: custom"
    yield "    engine: interlock"
    yield "    unit: percent"
    yield "    severity: warning"
    yield "    implementation: {metric: rowCountChange, batches: 5, mustBeBetween: [-50, 100]}"
    yield "```"
    yield (
        "A query is read before it runs, when you deploy: one SELECT over the table alone, functions that give the same"
        " for the same (no time, chance, setting, catalogue, file or network), 30 seconds."
    )


def _parts(known: Mapping[str, Part]) -> Iterator[str]:
    yield "| part | | |"
    yield "|---|---|---|"
    for treatment in (Treatment.ENFORCED, Treatment.REFUSED):
        for name, part in known.items():
            if part.treatment is treatment:
                word = "enforced" if treatment is Treatment.ENFORCED else "**refused**"
                yield f"| `{name}` | {word} | {part.note} |"
    free = [f"`{name}`" for name, part in known.items() if part.treatment is Treatment.DESCRIBES]
    yield f"| {', '.join(free)} | free | they describe |"


def _rules() -> Iterator[str]:
    yield "# What ingest can find wrong"
    yield ""
    yield (
        "The rules' ids stand in the report, in the list of violations and beside each row in quarantine; a quality"
        " rule about the file carries the id that the contract gives it. This page is made from the catalogue in the"
        " code (`make docs`)."
    )
    for title, rules in (
        ("About the file: any of these rejects it, a quality rule when it is an error", ABOUT_THE_FILE),
        ("About the form of one row", ABOUT_A_ROW),
        ("About the values of one row", ABOUT_A_VALUE),
    ):
        yield ""
        yield f"## {title}"
        yield "| id | when | why it matters | what to do |"
        yield "|---|---|---|---|"
        yield from (_line(rule) for rule in rules)


def _line(rule: Rule) -> str:
    return f"| `{rule.id}` | {rule.condition} | {rule.why} | {rule.remedy} |"


if __name__ == "__main__":
    write()
