"""The file of bad rows, as text: read for people, and turned back into an upload. Knows no cloud.

Each row is as it came, behind two columns: its number in the file and what is wrong with it. Nothing here decodes a
row to write it again: what nobody mended goes back byte for byte.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ingest.rules import CATALOGUE
from interlock.errors import InvalidRequest

_OURS = "interlock_"
_RULES = set(CATALOGUE)
_BOM = b"\xef\xbb\xbf"
# The delimiter is what stands between our two columns; a spreadsheet may have left the quotes out.
_HEADER = re.compile(rb'"?interlock_row"?([^\r\n"]{1,4}?)"?interlock_reasons"?\1')
_MEMBER = rb'(?<!\\)"interlock_(?:row|reasons)"\s*:\s*(?:-?\d+|"(?:[^"\\]|\\.)*")'
_MEMBERS = re.compile(rb"%b\s*,\s*|,\s*%b|%b" % (_MEMBER, _MEMBER, _MEMBER))


@dataclass(frozen=True)
class BadRow:
    """A row in quarantine.

    `values` are its cells by column, as text (None is null); it is None itself for a row that cannot be assigned to
    columns. `raw` is the row as it came, bytes that are no UTF-8 escaped.
    """

    row: int
    reasons: tuple[str, ...]
    raw: str
    values: dict[str, str | None] | None


def bad_rows(body: bytes) -> Iterator[BadRow]:
    """The rows of a file of bad rows, in its order."""
    if body.lstrip().startswith(b"{"):
        yield from _json_rows(body)
        return
    header, mark, records = _opened(body)
    names = _fields(header, mark.encode()) or []
    for number, reasons, raw in records:
        cells = _fields(raw, mark.encode()) or []
        assigned = len(cells) == len(names)
        values: dict[str, str | None] = dict(zip(map(_text, names), map(_text, cells), strict=assigned))
        yield BadRow(number, reasons, _text(raw).rstrip("\r\n"), values if assigned else None)


def joined(bodies: Sequence[bytes]) -> bytes:
    """Files of bad rows as one.

    Raises:
        InvalidRequest: they have not all the same columns.
    """
    if all(body.lstrip().startswith(b"{") for body in bodies):
        return b"".join(bodies)
    headers = {body[: body.find(b"\n") + 1] for body in bodies}
    if len(headers) > 1:
        raise InvalidRequest(
            "the files of this upload have not all the same columns in the same order",
            remedy="Mend them one by one: the quarantine folder of the claim holds the bad rows of each.",
        )
    return headers.pop() + b"".join(body[body.find(b"\n") + 1 :] for body in bodies)


def upload_of(path: Path) -> tuple[bytes, str, bool]:
    """What to upload for a mended file: its bytes without our columns, the ending of its name, whether it had them.

    Raises:
        InvalidRequest: there are no rows, or our columns do not stand in front any more.
    """
    body = path.read_bytes()
    if body.startswith(b"\x1f\x8b"):
        body = gzip.decompress(body)
    if body.startswith(b"PAR1"):
        return body, ".parquet", False
    body = body.removeprefix(_BOM)
    if body.lstrip().startswith(b"{"):
        mended = b"".join(map(_without_members, _lines(body)))
        return mended, ".jsonl", mended != body
    if not _HEADER.match(body):
        if _OURS.encode() in body.split(b"\n", 1)[0]:
            raise InvalidRequest(
                f"{path}: the columns {_OURS}row and {_OURS}reasons are not the first two",
                remedy="Remove them altogether, or leave both where they were.",
            )
        return body, ".csv", False
    header, _, records = _opened(body)
    rows = b"".join(raw for _, _, raw in records)
    if not rows.strip():
        raise InvalidRequest(f"{path} has no rows", remedy="Mend the rows below the header and send them again.")
    return header + rows, ".csv", True


def _opened(body: bytes) -> tuple[bytes, str, Iterator[tuple[int, tuple[str, ...], bytes]]]:
    """(header, delimiter, records) of CSV; a record is (number, reasons, its bytes without our columns)."""
    found = _HEADER.match(body)
    if found is None:
        raise InvalidRequest(f"the file does not begin with {_OURS}row and {_OURS}reasons: it holds no bad rows")
    mark = found.group(1)
    end = body.find(b"\n", found.end()) + 1 or len(body)
    return body[found.end() : end], mark.decode(), _records(body[end:], mark)


def _records(body: bytes, mark: bytes) -> Iterator[tuple[int, tuple[str, ...], bytes]]:
    """The records below the header. A line without our columns goes on with the record above it."""
    sign = re.escape(mark)
    ours = re.compile(rb'"?(\d*)"?%b("(?:[^"]|"")*"|[^"\r\n]*?)%b' % (sign, sign))
    number, reasons, raw = 0, b"", b""
    started = False
    for line in _lines(body):
        found = ours.match(line)
        # In a quoted field over several lines, what looks like our columns is the field's text; but a quote may also
        # have been left open, and then the next row is known by its reasons.
        if found and (not started or _fields(raw, mark) is not None or _next(found, number)):
            if started:
                yield number, _reasons(reasons), raw
            number, reasons, raw, started = int(found.group(1) or 0), found.group(2), line[found.end() :], True
        elif started:
            raw += line
        elif line.strip():
            raise InvalidRequest("the first row does not begin with its number and its reasons")
    if started:
        yield number, _reasons(reasons), raw


def _next(found: re.Match[bytes], number: int) -> bool:
    reasons = {reason.rpartition(": ")[2] for reason in _reasons(found.group(2))}
    ours = found.group(2).startswith(b'"') or int(found.group(1) or 0) > number
    return ours and bool(reasons) and reasons <= _RULES


def _fields(record: bytes, mark: bytes) -> list[bytes] | None:
    """A record's fields without their quotes; None when a quote is open at its end, or stands where none may."""
    quoted = re.compile(rb'"([^"]*(?:""[^"]*)*)"(?=%b|\r?\n|\Z)' % re.escape(mark))
    found, place = list[bytes](), 0
    while True:
        if record.startswith(b'"', place):
            if (field := quoted.match(record, place)) is None:
                return None
            found.append(field.group(1).replace(b'""', b'"'))
            place = field.end()
        else:
            end = min(at for at in (record.find(mark, place), record.find(b"\n", place), len(record)) if at >= 0)
            plain = record[place:end]
            found.append(plain if record.startswith(mark, end) else plain.removesuffix(b"\r"))
            place = end
        if not record.startswith(mark, place):
            return found
        place += len(mark)


def _reasons(cell: bytes) -> tuple[str, ...]:
    text = _text(cell)
    if text.startswith('"'):
        text = text[1:-1].replace('""', '"')
    return tuple(text.split("; ")) if text else ()


def _json_rows(body: bytes) -> Iterator[BadRow]:
    for line in _lines(body):
        if not line.strip():
            continue
        found = json.loads(line)
        number, reasons = found.pop("interlock_row", 0), found.pop("interlock_reasons", "")
        why = tuple(reasons.split("; ")) if reasons else ()
        if "interlock_line" in found:
            yield BadRow(number, why, found["interlock_line"], None)
        else:
            values = {
                name: value if isinstance(value, str | None) else json.dumps(value) for name, value in found.items()
            }
            yield BadRow(number, why, _text(_without_members(line)).rstrip("\r\n"), values)


def _without_members(line: bytes) -> bytes:
    """A line of JSON without our members, every other byte as it is; a line that was no object, as it was."""
    if b'"interlock_line"' in line:
        try:
            found = json.loads(line)
        except ValueError:
            return line
        if isinstance(found, dict) and isinstance(found.get("interlock_line"), str):
            return str(found["interlock_line"]).encode("utf-8", "replace") + b"\n"
    return _MEMBERS.sub(b"", line)


def _lines(body: bytes) -> Iterator[bytes]:
    """Lines with their ends; a carriage return alone ends none."""
    return (found.group() for found in re.finditer(rb"[^\n]*\n|[^\n]+", body))


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")
