"""Reads the contract from the Open Data Contract Standard v3 (https://bitol-io.github.io/open-data-contract-standard).

What bears on data is enforced or refused; nothing is silently ignored. What only describes (descriptions, tags,
teams, prices, servers, support) is free to be there. `interlock.odcs.parts` lists every part and what becomes of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from interlock.contract import Contract, Dialect, QualityRule
from interlock.errors import InvalidContract
from interlock.odcs import parts, quality, values
from interlock.odcs.columns import primary_key, read_column

_DIALECT = {
    "csvDelimiter": "delimiter",
    "csvQuote": "quote",
    "csvEncoding": "encoding",
    "csvDecimal": "decimal",
    "csvThousands": "thousands",
    "csvHeader": "header",
}
_ENCODINGS = {
    **dict.fromkeys(("utf-8", "utf8", "utf-8-sig"), "utf-8"),
    **dict.fromkeys(("utf-16", "utf16"), "utf-16"),
    **dict.fromkeys(("latin-1", "latin1", "iso-8859-1"), "latin-1"),
    **dict.fromkeys(("windows-1252", "cp1252"), "windows-1252"),
}


def read_contract(document: dict[str, Any]) -> Contract:
    """The contract of an ODCS v3 document with one schema.

    Raises:
        InvalidContract: lists everything that is wrong or would not be enforced, each with its path.
    """
    problems: list[str] = []
    version = str(document.get("apiVersion", ""))
    if not re.match(r"v3\.\d", version):
        problems.append(f"apiVersion: is {version!r}, v3.x is read")
    problems += [f"{name}: is missing; every dataset records it" for name in parts.NEEDED if not document.get(name)]
    if (kind := document.get("kind")) not in {None, "", "DataContract"}:
        problems.append(f"kind: is {kind!r}, a DataContract is read")
    problems += parts.problems("document", document, parts.DOCUMENT)
    problems += _misplaced("document", document)
    for index, agreed in enumerate(document.get("slaProperties") or []):
        if (name := str(agreed.get("property"))).lower() not in parts.SERVICE:
            problems.append(
                f"slaProperties[{index}]({name}): is not enforced; take it out, or write a freshness rule on a column"
            )
    schemas = document.get("schema") or []
    if len(schemas) != 1:
        problems.append(f"schema: holds {len(schemas)} objects, exactly one is read: an upload is one table")
        schemas = [{}]
    schema = schemas[0]
    table = str(schema.get("name") or "upload")
    problems += parts.problems("schema[0]", schema, parts.SCHEMA)
    properties = schema.get("properties") or []
    columns, rules = [], list[QualityRule]()
    for index, item in enumerate(properties):
        path = quality.column_path(index, item)
        problems += _misplaced(path, item)
        column, beyond = read_column(path, item, table, problems)
        rules += beyond
        if column is not None:
            columns.append(column)
    if not properties and schema:
        problems.append("schema[0].properties: there is no column")
    subject = _subject(properties, problems)
    bounds, on_table = quality.table_rules(schema, table, problems)
    settings = _settings(schema, problems)
    name = document.get("id", "contract")
    if problems:
        raise InvalidContract(f"{name}:\n  " + "\n  ".join(problems))
    try:
        return Contract(
            id=str(document.get("id", "")),
            version=str(document.get("version", "")),
            table=table,
            columns=tuple(columns),
            primary_key=primary_key(properties),
            subject=subject,
            quality=quality.named([*on_table, *rules]),
            **bounds,
            **settings,
        )
    except ValidationError as error:
        wrong = (f"{'.'.join(map(str, item['loc'])) or 'schema[0]'}: {item['msg']}" for item in error.errors())
        raise InvalidContract(f"{name}:\n  " + "\n  ".join(wrong)) from None


def _subject(properties: list[dict[str, Any]], problems: list[str]) -> str | None:
    """The column that is marked as the subject key."""
    marked = []
    for index, item in enumerate(properties):
        for custom in item.get("customProperties") or []:
            if str(custom.get("property")).lower() != "subjectkey":
                continue
            if custom.get("property") != "subjectKey" or custom.get("value") is not True:
                problems.append(f"{quality.column_path(index, item)}: the mark is `subjectKey: true`")
            marked.append(str(item.get("name")))
    if len(marked) > 1:
        problems.append(f"schema[0]: one column is the subject key, not {', '.join(marked)}")
    return marked[0] if marked else None


def _settings(schema: dict[str, Any], problems: list[str]) -> dict[str, Any]:
    """Interlock's own settings of the table."""
    found: dict[str, Any] = {}
    dialect: dict[str, Any] = {}
    said = set()
    for index, custom in enumerate(schema.get("customProperties") or []):
        name, value = custom.get("property"), custom.get("value")
        place = f"schema[0].customProperties[{index}]({name})"
        if name in said:
            problems.append(f"{place}: is said twice")
        said.add(name)
        match name:
            case "maxBadRowShare" if values.number(value) and 0 <= value <= 1:
                found["max_bad_row_share"] = value
            case "maxBadRowShare":
                problems.append(f"{place}: is {value!r}, not a share from 0 to 1")
            case "nullTokens" if isinstance(value, list):
                problems += [
                    f"{place}: {values.UNQUOTED.format(token)}"
                    for token in value
                    if token is None or isinstance(token, bool)
                ]
                found["null_tokens"] = tuple(map(values.text, value))
            case "nullTokens":
                problems.append(f"{place}: is {value!r}, not a list")
            case "csvEncoding" if str(value).lower() in _ENCODINGS:
                dialect["encoding"] = _ENCODINGS[str(value).lower()]
            case str() if name in _DIALECT:
                dialect[_DIALECT[name]] = value
            case _:
                problems.append(
                    f"schema[0].customProperties[{index}]: {name!r} is unknown; known: {', '.join(parts.SETTINGS)}"
                )
    if dialect:
        try:
            found["dialect"] = Dialect(**dialect)
        except ValidationError as error:
            own = {field: name for name, field in _DIALECT.items()}
            problems += [
                f"schema[0].customProperties({own.get(str(wrong['loc'][0]), '') if wrong['loc'] else 'csv…'}):"
                f" {wrong['msg']}"
                for wrong in error.errors()
            ]
    return found


def _misplaced(path: str, item: dict[str, Any]) -> Iterator[str]:
    """Properties of ours that would not be read where they stand; other tools' are free to be there."""
    ours = {name.lower() for name in parts.SETTINGS}
    for index, custom in enumerate(item.get("customProperties") or []):
        if str(name := custom.get("property")).lower() in ours:
            yield f"{path}.customProperties[{index}]: {name} belongs into schema[0].customProperties"
