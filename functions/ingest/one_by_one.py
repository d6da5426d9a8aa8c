"""Reads a block record by record, where its quotes are not to be trusted (`ingest.records`)."""

from __future__ import annotations

import re

import numpy as np

from ingest.forms import LONGEST, Form, Split


def one_by_one(data: bytes, form: Form, *, end: bool) -> tuple[Split, int]:
    """The records of a block whose quotes are not to be trusted, and how many bytes they take."""
    assert form.delimiter is not None  # noqa: S101
    assert form.quote is not None  # noqa: S101
    one_field = _field(form.delimiter, form.quote)
    found: list[tuple[int, int, int, int]] = []
    values: list[list[tuple[int, int]]] = []
    start, line = 0, 0
    while (newline := data.find(b"\n", start)) >= 0:
        stop = newline
        spans = _values(data, start, stop, one_field, form)
        if spans is None and not end and len(data) - start <= LONGEST:
            # Its quote may be closed by what has not been read yet.
            break
        if spans is not None:
            stop = data.index(b"\n", spans[-1][1])
            if stop > newline and len(spans) != form.fields:
                spans, stop = None, newline
        if data[start:stop] not in {b"", b"\r"}:
            found.append((start, stop, line, len(spans or ())))
            if spans is not None and len(spans) == form.fields:
                values.append(spans)
        line += data.count(b"\n", start, stop + 1)
        start = stop + 1
    starts, ends, lines, counts = np.array(found, dtype=np.int64).reshape(-1, 4).T
    bounds = np.array(values, dtype=np.int32).reshape(-1, form.fields, 2)
    split_up = Split(
        starts=starts,
        ends=ends,
        lines=lines,
        counts=counts,
        whole=np.flatnonzero(counts == form.fields),
        field_starts=np.ascontiguousarray(bounds[:, :, 0].T),
        field_ends=np.ascontiguousarray(bounds[:, :, 1].T),
        doubled=[],
        breaks=line,
    )
    for row, spans in enumerate(values):
        for field, (low, high) in enumerate(spans):
            if data[low : low + 1] == form.quote:
                split_up.field_starts[field, row] += 1
                split_up.field_ends[field, row] -= 1
                if form.quote in data[low + 1 : high - 1]:
                    split_up.doubled.append((field, row))
    return split_up, start


def _values(
    data: bytes, start: int, end_of_line: int, one_field: re.Pattern[bytes], form: Form
) -> list[tuple[int, int]] | None:
    """Where the values of the record at `start` lie, quotes included; None when a quote stays open."""
    spans, position, limit = [], start, min(len(data), max(end_of_line + 1, start + LONGEST))
    while match := one_field.match(data, position, limit):
        spans.append(match.span())
        position = match.end()
        if data[position : position + 2] == b"\r\n" or data[position : position + 1] == b"\n":
            return spans
        if data[position : position + 1] != form.delimiter:
            break
        position += 1
    return None


def _field(delimiter: bytes, quote: bytes) -> re.Pattern[bytes]:
    """One field: quoted, or up to the delimiter; a quote inside an unquoted one is a character like any other."""
    mark, sign = re.escape(delimiter), re.escape(quote)
    return re.compile(
        rb"%b(?>[^%b]*(?:%b%b[^%b]*)*)%b(?=%b|\r?\n)|(?!%b)[^%b\n]*?(?=%b|\r?\n)"
        % (sign, sign, sign, sign, sign, sign, mark, sign, mark, mark)
    )
