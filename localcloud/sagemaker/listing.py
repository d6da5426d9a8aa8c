"""The filters, orders and pages that the API's lists have in common."""

from __future__ import annotations

from collections.abc import Callable

from localcloud.sagemaker.protocol import ServiceError
from localcloud.sagemaker.store import Record

_PAGE = 10


def page(
    request: Record,
    records: list[Record],
    *,
    name: str,
    orders: dict[str, Callable[[Record], object]],
    answer: str,
    members: list[str],
) -> Record:
    """One page of an operation's answer.

    Args:
        request: the operation's request: NameContains, CreationTimeAfter and the like, SortBy, SortOrder, MaxResults,
            NextToken, as far as it has them.
        records: what may be listed.
        name: the member that NameContains looks at.
        orders: what each SortBy compares; the first is the default, ascending as documented.
        answer: the member of the answer that holds the page.
        members: the members of a summary.

    Raises:
        ServiceError: the token is not one that this gave.
    """
    wanted = request.get("NameContains", "")
    found = [
        record for record in records if wanted in record[name] and _in_time(request, record)
    ]  # fmt: skip
    key = orders[request.get("SortBy", next(iter(orders)))]
    found.sort(key=key, reverse=request.get("SortOrder") == "Descending")  # type: ignore[arg-type]
    token = request.get("NextToken", "0")
    if not token.isdecimal():
        raise ServiceError("ValidationException", "Invalid NextToken.")
    start, end = int(token), int(token) + request.get("MaxResults", _PAGE)
    shown = [{member: record[member] for member in members if member in record} for record in found[start:end]]
    return {answer: shown, **({"NextToken": str(end)} if end < len(found) else {})}


def _in_time(request: Record, record: Record) -> bool:
    return all(
        request.get(f"{member}After", 0) <= record.get(member, 0) <= request.get(f"{member}Before", float("inf"))
        for member in ("CreationTime", "LastModifiedTime")
    )
