"""A quota a caller: counted by conditional writes, answered in the protocol's form, and no reason to be down."""

from __future__ import annotations

import json
from typing import Any

import pytest

import serve.infer
from interlock.errors import DependencyUnavailable, QuotaExceeded
from serve.quota import Quota, caller
from tests.unit.serve.world import World, call, document

DAY = 86_400


class Counts:
    """The table: counts by key; `down` where it does not answer."""

    def __init__(self) -> None:
        self.calls: dict[str, int] = {}
        self.asked, self.down = 0, False

    def count(self, table: str, key: str, limit: int, expires: int) -> bool:
        self.asked += 1
        if self.down:
            raise DependencyUnavailable("the table does not answer")
        assert table == "quota"
        assert expires > 20_000 * DAY
        if self.calls.get(key, 0) >= limit:
            return False
        self.calls[key] = self.calls.get(key, 0) + 1
        return True


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counts:
    World().serve(monkeypatch)
    found = Counts()
    quota = Quota(found, "quota", 3, lambda: 20_000 * DAY + 100.5)
    monkeypatch.setattr(serve.infer, "quota", lambda: quota)
    return found


def ask(path: str = "/v2/models/flats/infer") -> tuple[int, dict[str, Any], dict[str, str]]:
    body = {"rows": [{"size": 1.0, "place": "north"}]} if path.endswith("predict") else document([1.0], ["north"])
    return call("POST", path, body)


def test_the_call_after_the_last_is_refused_with_when_to_come_again(counts: Counts) -> None:
    assert [ask()[0] for _ in range(3)] == [200, 200, 200]
    status, answer, headers = ask()
    assert status == 429
    assert "3 times today" in answer["error"]
    assert headers["retry-after"] == str(DAY - 100)
    # The instance remembers: refusing costs no write.
    asked = counts.asked
    assert ask("/models/flats/predict")[0] == 429
    assert counts.asked == asked


def test_asking_about_a_model_is_no_prediction(counts: Counts) -> None:
    for _ in range(5):
        assert call("GET", "/v2/models/flats")[0] == 200
    assert counts.calls == {}


def test_a_new_day_counts_anew() -> None:
    now, counts = [20_000.0 * DAY], Counts()
    quota = Quota(counts, "quota", 1, lambda: now[0])
    quota.take("me")
    quota.take("somebody else")
    with pytest.raises(QuotaExceeded) as refused:
        quota.take("me")
    assert refused.value.seconds == DAY + 1
    now[0] += DAY
    quota.take("me")
    assert sorted(counts.calls) == ["me#20000", "me#20001", "somebody else#20000"]


def test_callers_are_answered_while_nothing_can_be_counted(counts: Counts, capsysbinary: Any) -> None:
    counts.down = True
    assert [ask()[0] for _ in range(5)] == [200] * 5
    lines = [json.loads(line) for line in capsysbinary.readouterr().out.splitlines()]
    assert sum(line.get("CallsNotCounted", 0) for line in lines) == 5


@pytest.mark.parametrize(
    ("authorizer", "who"),
    [
        (
            {"iam": {"userId": "AROAROLE:session-1", "userArn": "arn:aws:sts::1:assumed-role/r/session-1"}},
            "iam:AROAROLE",
        ),
        ({"iam": {"userId": "AROAROLE:session-2"}}, "iam:AROAROLE"),
        ({"iam": {"userArn": "arn:aws:iam::1:user/u"}}, "iam:arn:aws:iam::1:user/u"),
        ({"jwt": {"claims": {"sub": "u", "scope": "flats/infer"}}}, "token:u"),
        ({"jwt": {"claims": {"client_id": "c"}}}, "token:c"),
    ],
)
def test_a_caller_is_a_person_or_a_role_not_a_session(authorizer: dict[str, Any], who: str) -> None:
    assert caller({"requestContext": {"authorizer": authorizer}}) == who


def test_there_is_no_quota_unless_the_deployment_sets_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QUOTA_TABLE", raising=False)
    serve.infer.quota.cache_clear()
    assert serve.infer.quota() is None
