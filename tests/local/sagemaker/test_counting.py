"""A caller's quota is one conditional write: kept by the table itself, however many functions count at once."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from interlock.aws.direct import Direct
from interlock.errors import DependencyUnavailable, QuotaExceeded
from localcloud.supervisor import LocalCloud
from serve.quota import Quota

TABLE, LIMIT, DAY = "quota", 25, 86_400


@pytest.fixture
def counting(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The deployment's table; the environment is that of a function in this cloud."""
    for name, value in cloud.environment().items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    client = cloud.client("dynamodb")
    client.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "caller", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "caller", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    yield client
    client.delete_table(TableName=TABLE)


def test_sixteen_instances_let_exactly_as_many_pass_as_are_allowed(counting: Any) -> None:
    now = time.time()

    def instance(number: int) -> int:
        quota, refused = Quota(Direct("state"), TABLE, LIMIT, lambda: now), 0
        for turn in range(5):
            try:
                quota.take("iam:somebody")
            except QuotaExceeded:
                refused += 1
            quota.take(f"iam:one of {number}, {turn}")
        return refused

    with ThreadPoolExecutor(16) as instances:
        assert sum(instances.map(instance, range(16))) == 16 * 5 - LIMIT
    today = int(now // DAY)
    item = counting.get_item(TableName=TABLE, Key={"caller": {"S": f"iam:somebody#{today}"}})["Item"]
    assert item["calls"] == {"N": str(LIMIT)}
    assert item["expires"] == {"N": str((today + 2) * DAY)}
    # Tomorrow is another item.
    Quota(Direct("state"), TABLE, LIMIT, lambda: now + DAY).take("iam:somebody")


def test_a_table_that_is_not_there_is_no_limit(counting: Any, capsysbinary: Any) -> None:
    with pytest.raises(DependencyUnavailable, match="counting a call"):
        Direct("state").count("no-such-table", "me", 1, 0)
    Quota(Direct("state"), "no-such-table", 1).take("me")
    assert b'"CallsNotCounted":1' in capsysbinary.readouterr().out
