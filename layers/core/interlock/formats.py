"""Formats: of dates and times, which the contract writes as Java does and the engines read as C does; of texts."""

from __future__ import annotations

import re
from dataclasses import dataclass

from interlock.errors import InvalidContract

# ISO 8601 as people write it; a time without a zone is UTC.
TIMESTAMP = r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]([01]\d|2[0-3])(:?[0-5]\d)?)?"
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


@dataclass(frozen=True)
class TextFormat:
    """A named form of text: the whole value matches `pattern` (read alike by Python and RE2), within `longest`."""

    pattern: str
    longest: int
    says: str


_OCTET = r"(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_IPV4 = rf"{_OCTET}(\.{_OCTET}){{3}}"
_GROUP = r"[0-9A-Fa-f]{1,4}"
# Every place where :: may stand (RFC 4291, section 2.2), the last 32 bits as IPv4 where they are all there.
_IPV6 = "|".join(
    [
        rf"({_GROUP}:){{7}}{_GROUP}",
        rf"({_GROUP}:){{6}}{_IPV4}",
        *(rf"({_GROUP}:){{{left}}}(:{_GROUP}){{1,{7 - left}}}" for left in range(1, 7)),
        *(rf"({_GROUP}:){{{left}}}(:{_GROUP}){{0,{5 - left}}}:{_IPV4}" for left in range(1, 6)),
        rf"({_GROUP}:){{1,7}}:",
        rf":((:{_GROUP}){{1,7}}|(:{_GROUP}){{0,5}}:{_IPV4}|:)",
    ]
)
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = rf"{_LABEL}(\.{_LABEL})*"

TEXT_FORMATS = {
    "uuid": TextFormat(
        "[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}", 36, "RFC 9562, with hyphens"
    ),
    "email": TextFormat(
        rf"[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@{_HOST}", 254, "HTML's e-mail address, as browsers check it"
    ),
    "hostname": TextFormat(_HOST, 253, "RFC 1123"),
    "ipv4": TextFormat(_IPV4, 15, "four decimal numbers (RFC 2673)"),
    "ipv6": TextFormat(_IPV6, 45, "RFC 4291, without a zone"),
    "uri": TextFormat(
        r"[A-Za-z][A-Za-z0-9+.-]*:([A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+",
        100_000,
        "a scheme, a colon, and RFC 3986's characters",
    ),
}
# Names the standard knows and nothing can be held against.
UNCHECKABLE_FORMATS = {
    "password": "any text can be a password; say minLength, and a classification",
    "byte": "any text can be meant; say a pattern",
    "binary": "any text can be meant; say a pattern",
    "date": "say logicalType date",
    "date-time": "say logicalType timestamp",
    "time": "say a pattern",
}
