"""How often a caller may ask a day, counted in DynamoDB: off unless the deployment sets `calls_a_day`.

The count is the callers' own and kept outside of this function's memory, since many instances answer one caller.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from interlock.errors import QuotaExceeded, Unavailable
from serve.telemetry import metrics, say

_DAY = 86_400
# Callers beyond their quota that one instance knows without asking again; more than these are asked for each time.
_KNOWN = 10_000


class Counter(Protocol):
    """Where calls are counted: `interlock.aws.direct.Direct`."""

    def count(self, table: str, key: str, limit: int, expires: int) -> bool:
        """Add one unless the limit is reached."""


class Quota:
    """So many calls a caller, by days of UTC."""

    def __init__(self, counter: Counter, table: str, calls_a_day: int, clock: Callable[[], float] = time.time) -> None:
        self._counter = counter
        self._table = table
        self._limit = calls_a_day
        self._clock = clock
        self._used_up: set[str] = set()
        self._today = 0

    def take(self, who: str) -> None:
        """Count a call. While it cannot be counted, callers are answered and that is told.

        Raises:
            QuotaExceeded: it was one too many.
        """
        now = self._clock()
        today = int(now // _DAY)
        if today != self._today:
            self._today = today
            self._used_up.clear()
        if who not in self._used_up:
            try:
                if self._counter.count(self._table, f"{who}#{today}", self._limit, (today + 2) * _DAY):
                    return
            except Unavailable:
                say(metrics({"CallsNotCounted": 1}))
                return
            if len(self._used_up) < _KNOWN:
                self._used_up.add(who)
        seconds = int((today + 1) * _DAY - now) + 1
        raise QuotaExceeded(f"this caller has asked {self._limit} times today, as often as is allowed", seconds)


def caller(event: dict[str, Any]) -> str:
    """Who is asking: a user or role, whatever its session is named, or a token's subject."""
    authorizer = event["requestContext"].get("authorizer") or {}
    if (token := authorizer.get("jwt")) is not None:
        claims = token.get("claims") or {}
        return f"token:{claims.get('sub') or claims.get('client_id', '')}"
    signer = authorizer.get("iam") or {}
    # A role's sessions are its users' to name: `AROA…:session`.
    return f"iam:{str(signer.get('userId', '')).partition(':')[0] or signer.get('userArn', '')}"
