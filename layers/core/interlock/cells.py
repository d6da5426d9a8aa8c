"""A cell of somebody's data, written where a person or a spreadsheet might take it for more than text."""

from __future__ import annotations

import re
import unicodedata

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
# Controls, formats (bidirectional overrides, zero-width and tag characters), surrogates, line and paragraph separators.
_UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_FORMULA = frozenset("=+-@")


def visible(text: str, keep: str = "") -> str:
    r"""The text with every character that shows nothing, or turns its surroundings round, as its escape: `\u202e`.

    A terminal would obey it, and a reader would not know that it is there. `keep` are characters to leave alone.
    """
    if text.isprintable():
        return text
    return "".join(_escaped(sign) if sign not in keep else sign for sign in text)


def harmless(text: str) -> str:
    """The text as a spreadsheet takes it for text and not for a formula (OWASP, "CSV Injection"); a number stays one.

    What counts is the first character that a spreadsheet does not skip, full-width forms read as plain ones.
    """
    if text[:1] in _SHORT:
        return "'" + text
    first = next((sign for sign in text if not sign.isspace() and unicodedata.category(sign) not in _UNSEEN), "")
    if unicodedata.normalize("NFKC", first) in _FORMULA and not _NUMBER.fullmatch(text):
        return "'" + text
    return text


def _escaped(sign: str) -> str:
    if unicodedata.category(sign) not in _UNSEEN:
        return sign
    if sign in _SHORT:
        return _SHORT[sign]
    number = ord(sign)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
