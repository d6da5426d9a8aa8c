"""Formats of dates and times: the contract writes them as Java does, the engines read them as C does."""

from __future__ import annotations

import re

from interlock.errors import InvalidContract

_DIRECTIVES = {
    "yyyy": "%Y",
    "MM": "%m",
    "dd": "%d",
    "HH": "%H",
    "mm": "%M",
    "ss": "%S",
    "SSSSSS": "%f",
    "SSS": "%g",
}
_PART = re.compile(rf"'(?P<quoted>[^']+)'|(?P<letters>{'|'.join(_DIRECTIVES)})|(?P<plain>[TZ]|[^A-Za-z'])")


def c_format(written: str) -> str:
    """The format in C's directives.

    Raises:
        InvalidContract: it holds letters that are not understood.
    """
    found, position = "", 0
    while position < len(written):
        part = _PART.match(written, position)
        if part is None:
            raise InvalidContract(
                f"the format {written!r} is not understood at {written[position:]!r}; understood are"
                f" {', '.join(_DIRECTIVES)}, and text in single quotes"
            )
        literal = (part["quoted"] or part["plain"] or "").replace("%", "%%")
        found += _DIRECTIVES.get(part["letters"] or "", literal)
        position = part.end()
    return found
