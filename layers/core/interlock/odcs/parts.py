"""Every part of the standard that may stand in a contract, and what becomes of it.

`interlock.odcs` reads by these tables, and the documentation is made of them: a part that is in none of them is
refused as unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from interlock.contract import ColumnType, Metric, Operator, Unit


class Treatment(StrEnum):
    """What becomes of a part of the standard."""

    ENFORCED = "enforced"
    DESCRIBES = "describes"
    REFUSED = "refused"


@dataclass(frozen=True)
class Part:
    """One part: what becomes of it, and how it is meant or why it is refused."""

    treatment: Treatment
    note: str = ""


def _enforced(note: str) -> Part:
    return Part(Treatment.ENFORCED, note)


def _refused(reason: str) -> Part:
    return Part(Treatment.REFUSED, reason)


_DESCRIBES = Part(Treatment.DESCRIBES)
_ELEMENT = dict.fromkeys(
    (
        *("id", "description", "businessName", "tags", "examples", "synonyms", "semanticType", "deprecated"),
        *("authoritativeDefinitions", "context", "physicalType"),
    ),
    _DESCRIBES,
)
_FILE = "an upload is one flat table"

# What is recorded with every dataset.
NEEDED = ("id", "version")
DOCUMENT: dict[str, Part] = {
    **_ELEMENT,
    **dict.fromkeys(
        (
            *("name", "kind", "status", "tenant", "domain", "dataProduct", "contractCreatedTs", "support", "price"),
            *("team", "roles", "slaDefaultElement", "customProperties"),
        ),
        _DESCRIBES,
    ),
    "servers": Part(Treatment.DESCRIBES, "where others find the data; uploads come through S3, in any known format"),
    "apiVersion": _enforced("v3.x"),
    "version": _enforced("recorded with every dataset that the contract judged"),
    "slaProperties": _enforced("what a service promises is free to be there; what speaks of the data is refused"),
    "schema": _enforced("exactly one object: an upload is one table"),
}
SCHEMA: dict[str, Part] = {
    **_ELEMENT,
    **dict.fromkeys(("logicalType", "dataGranularityDescription", "physicalName"), _DESCRIBES),
    "name": _enforced("the table's name in sql rules"),
    "properties": _enforced("the columns; the file has exactly these, in any order"),
    "quality": _enforced("see the rules below"),
    "customProperties": _enforced("see Interlock's own settings below; others are refused"),
    "relationships": _refused("other tables are not known when a file is judged"),
}
PROPERTY: dict[str, Part] = {
    **_ELEMENT,
    **dict.fromkeys(
        (*("criticalDataElement", "transformSourceObjects", "transformLogic", "transformDescription"),),
        _DESCRIBES,
    ),
    "customProperties": _enforced(
        "`subjectKey: true` marks the one column that says whose row it is, for `interlock forget`; others describe"
    ),
    "name": _enforced("the column's name in datasets, and in the file when there is no physicalName"),
    "physicalName": _enforced("the column's name in the file"),
    "logicalType": _enforced("see the types below"),
    "logicalTypeOptions": _enforced("see the types below"),
    "required": _enforced("no value is missing"),
    "unique": _enforced("no value comes twice in a file; missing ones do not count"),
    "primaryKey": _enforced("the columns together come once in a file, none is missing; the holdout is chosen by them"),
    "primaryKeyPosition": _enforced("the order of the key's columns"),
    "enum": _enforced("the value is one of these; dates and times are written as bounds are"),
    "classification": _enforced(
        "other than public or internal: no value appears in a report, a log or an error, captures hold bins or hashes"
    ),
    "quality": _enforced("see the rules below"),
    "partitioned": _refused("an upload is not partitioned"),
    "partitionKeyPosition": _refused("an upload is not partitioned"),
    "encryptedName": _refused("encrypted values cannot be judged; list the encrypted column as one of its own"),
    "relationships": _refused("other tables are not known when a file is judged"),
    "properties": _refused(_FILE),
    "items": _refused(_FILE),
    "map": _refused(_FILE),
}
_BOUNDS = {
    "minimum": _enforced("inclusive"),
    "maximum": _enforced("inclusive"),
    "exclusiveMinimum": _enforced("exclusive"),
    "exclusiveMaximum": _enforced("exclusive"),
}
_MULTIPLE = _enforced("above 0; exact for integers, to 1e-9 of the value for numbers")
_ISO = "bounds are written in ISO 8601"
OPTIONS: dict[ColumnType, dict[str, Part]] = {
    ColumnType.STRING: {
        "minLength": _enforced("characters"),
        "maxLength": _enforced("characters"),
        "pattern": _enforced("found anywhere in the text; RE2's syntax, write ^ and $ for the whole"),
        "format": _enforced("uuid, email, hostname, ipv4, ipv6, uri; others say nothing that can be checked"),
    },
    ColumnType.INTEGER: {
        **_BOUNDS,
        "multipleOf": _MULTIPLE,
        "format": _enforced("i8, i16, i32, i64, u8, u16, u32 as bounds; wider ones do not fit a column of 64 bits"),
    },
    ColumnType.NUMBER: {
        **_BOUNDS,
        "multipleOf": _MULTIPLE,
        "format": _enforced("f64 as it is, f32 as bounds"),
    },
    ColumnType.BOOLEAN: {},
    ColumnType.DATE: {**_BOUNDS, "format": _enforced(f"exactly this form; {_ISO} all the same")},
    ColumnType.TIMESTAMP: {
        **_BOUNDS,
        "format": _enforced(f"exactly this form; {_ISO} all the same, in UTC without a zone"),
        "timezone": _enforced("true: every value ends with its zone; false: none does"),
        "defaultTimezone": _enforced("UTC only: a time without a zone is UTC"),
    },
}
TYPES_REFUSED = {
    "time": "no column type holds a time of day; read it as a string with a pattern, or as an integer of seconds",
    "object": _FILE,
    "array": _FILE,
    "map": _FILE,
    "vector": "one column a dimension: an upload is one flat table",
}
_MEANS = dict.fromkeys((Operator.MUST_BE_BETWEEN, Operator.MUST_NOT_BE_BETWEEN), "both ends are counted in")
RULE: dict[str, Part] = {
    **dict.fromkeys(
        (
            *("description", "tags", "authoritativeDefinitions", "dimension", "method", "businessImpact"),
            *("schedule", "scheduler", "customProperties"),
        ),
        _DESCRIBES,
    ),
    "id": _enforced("names the rule in findings and outcomes"),
    "name": _enforced("what the report calls it"),
    "type": _enforced("library, sql, and custom with the engine interlock; text is for people; others are refused"),
    "metric": _enforced(", ".join(Metric)),
    "rule": _enforced("v3.0's name of metric: rowCount, duplicateCount, validValues, nullCheck"),
    "arguments": _enforced("missingValues, validValues, pattern, properties; others are refused"),
    "severity": _enforced("error rejects, warning and info report"),
    "unit": _enforced(f"{', '.join(Unit)}: times for freshness alone"),
    "query": _enforced("one SELECT over the good rows: `${table}`, `${column}`; no files, network or settings"),
    "engine": _enforced("interlock"),
    "implementation": _enforced("see Interlock's own metrics below"),
    **{operator.value: _enforced(_MEANS.get(operator, "the metric is held against it")) for operator in Operator},
}
# What a service promises; the other agreements (latency, frequency, error rate) speak of the data.
SERVICE = {
    *("availability", "throughput", "retention", "generalavailability", "endofsupport", "endoflife"),
    *("timetodetect", "timetonotify", "timetorepair", "timeofavailability"),
}
SETTINGS: dict[str, str] = {
    "maxBadRowShare": "share of bad rows (0 to 1) above which a file is rejected as a whole",
    "nullTokens": "texts that mean a missing value in every column",
    "csvDelimiter": "the character between fields; found out when silent",
    "csvQuote": "the character around fields, written twice inside; empty: none",
    "csvEncoding": "utf-8, utf-16, latin-1 or windows-1252; found out when silent",
    "csvDecimal": "the mark before decimals: . or ,",
    "csvThousands": "the mark between thousands, left out when reading",
    "csvHeader": "false: the first line is data, the columns are in the contract's order",
}


def problems(path: str, item: dict[str, object], known: dict[str, Part]) -> list[str]:
    """What in the item is refused or unknown, each with its path and the reason."""
    found = []
    for name, value in item.items():
        part = known.get(name)
        if part is None:
            found.append(f"{path}.{name}: is not enforced: there is no such part here; take it out")
        elif part.treatment is Treatment.REFUSED and value not in (None, False, -1):
            found.append(f"{path}.{name}: is not enforced: {part.note}; take it out")
    return found
