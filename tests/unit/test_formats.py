"""Named forms of text, judged by the standard library and read alike by Python and the engine."""

from __future__ import annotations

import ipaddress
import re
import uuid
from collections.abc import Callable

import duckdb
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from interlock.formats import TEXT_FORMATS


def matches(name: str, value: str) -> bool:
    form = TEXT_FORMATS[name]
    return re.fullmatch(form.pattern, value) is not None and len(value) <= form.longest


def accepted(read: Callable[[str], object], value: str) -> bool:
    try:
        read(value)
    except ValueError:
        return False
    return True


def address(value: str) -> object:
    if "%" in value:
        raise ValueError("a zone is none of the address")
    return ipaddress.IPv6Address(value)


groups = st.one_of(
    st.lists(st.sampled_from(["", "0", "db8", "FFFF", "12345", "g", "1.2.3.4", "256.1.1.1", ":"]), max_size=10).map(
        ":".join
    ),
    st.integers(0, 2**128 - 1).map(lambda number: str(ipaddress.IPv6Address(number))),
    st.integers(0, 2**128 - 1).map(lambda number: ipaddress.IPv6Address(number).exploded.upper()),
)


@given(groups)
@example("::")
@example("1::")
@example("::1.2.3.4")
@example("1:2:3:4:5:6:1.2.3.4")
@example("1:2:3:4:5:6:7::")
@example("1::2:3:4:5:6:7:8")
def test_ipv6_is_what_the_standard_library_reads(value: str) -> None:
    assert matches("ipv6", value) == accepted(address, value)


@given(st.lists(st.sampled_from(["0", "9", "01", "10", "99", "199", "249", "255", "256", "1000", ""]), max_size=5))
def test_ipv4_is_what_the_standard_library_reads(parts: list[str]) -> None:
    value = ".".join(parts)
    assert matches("ipv4", value) == accepted(ipaddress.IPv4Address, value)


@given(st.uuids())
def test_every_uuid_is_one(value: uuid.UUID) -> None:
    assert matches("uuid", str(value))
    assert matches("uuid", str(value).upper())
    assert not matches("uuid", value.hex)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("email", ["a@b", "a.b+c@d-e.org", "o'x@1.2"], ["a", "@b", "a@", "a b@c", "a@-b", "a@b..c", "é@b", "a@b\n"]),
        ("hostname", ["a", "a-b.example", "1a", "x" * 63],
         ["-a", "a-", "a..b", "a_b", "x" * 64, ".".join(["x" * 60] * 5)]),
        ("uri", ["http://a/b?c#d", "urn:isbn:1", "mailto:a@b", "x:%20"],
         ["a", "/a/b", "x:", "1x:a", "x:a b", "x:%2", "x:ü"]),
        ("ipv6", ["2001:db8::1"], ["fe80::1%eth0", ":::", "1:2", ""]),
        ("uuid", [], ["{12345678-1234-1234-1234-123456789abc}", ""]),
    ],
)  # fmt: skip
def test_a_form_takes_the_good_and_refuses_the_bad(name: str, good: list[str], bad: list[str]) -> None:
    assert [value for value in good if not matches(name, value)] == []
    assert [value for value in bad if matches(name, value)] == []
    with duckdb.connect() as con:
        for value in (*good, *bad):
            found = con.execute("SELECT regexp_full_match(?, ?)", [value, TEXT_FORMATS[name].pattern]).fetchone()
            assert found == (re.fullmatch(TEXT_FORMATS[name].pattern, value) is not None,), value
