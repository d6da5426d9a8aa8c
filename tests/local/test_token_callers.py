"""Callers with tokens, through the API that takes them: what the gateway refuses, and what the function does."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from cli import inference
from cli.executions import Run
from cli.target import Target

from .conftest import CALLS_A_DAY, CENSUS, RENT
from .issuer import Issuer, altered, unsigned
from .test_bad_requests import ROW

PREDICT, READ = f"/models/{CENSUS}/predict", f"/v2/models/{CENSUS}"
BODY = json.dumps({"rows": [ROW]}).encode()


def ask(
    target: Target, token: str | None, path: str = PREDICT, body: bytes = BODY, output: str = "TokenApiUrl"
) -> httpx.Response:
    parts = urlsplit(target.outputs[output])
    headers = {"host": parts.netloc, "content-type": "application/json"}
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    url = f"http://127.0.0.1:{parts.port}{path}"
    return httpx.get(url, headers=headers) if path == READ else httpx.post(url, content=body, headers=headers)


def test_a_token_of_the_issuer_is_answered_as_a_signature_is(
    target: Target, champions: dict[str, Run], issuer: Issuer
) -> None:
    wanted = inference.predict(target, CENSUS, [ROW])[0]
    answer = ask(target, issuer.token(f"{CENSUS}/infer"))
    assert answer.status_code == 200, answer.text
    assert answer.json()["predictions"] == [{"label": wanted.label, "probability": wanted.score}]


@pytest.mark.parametrize(
    "what",
    ["none", "nonsense", "old", "not yet", "another issuer's", "for others", "altered", "unsigned", "another key's"],
)
def test_the_gateway_refuses_what_the_issuer_did_not_say(
    target: Target, champions: dict[str, Run], issuer: Issuer, what: str
) -> None:
    now, scope = int(time.time()), f"{CENSUS}/infer"
    good = issuer.token(scope)
    token = {
        "none": None,
        "nonsense": "nonsense",
        "old": issuer.token(scope, exp=now - 1),
        "not yet": issuer.token(scope, nbf=now + 600),
        "another issuer's": issuer.token(scope, iss="https://login.example.com"),
        "for others": issuer.token(scope, aud="somebody else's API"),
        "altered": altered(issuer.token(f"{RENT}/infer"), scope=scope),
        "unsigned": unsigned(good),
        "another key's": issuer.token(scope, key=rsa.generate_private_key(public_exponent=65537, key_size=2048)),
    }[what]
    answer = ask(target, token)
    assert (answer.status_code, answer.json()) == (401, {"message": "Unauthorized"})
    assert ask(target, good).status_code == 200


def test_the_function_refuses_what_the_scopes_do_not_name(
    target: Target, champions: dict[str, Run], issuer: Issuer
) -> None:
    labels = json.dumps({"labels": [{"request_id": "x", "row": 0, "label": "<=50K"}]}).encode()
    asked: dict[str, tuple[str, bytes]] = {
        "infer": (PREDICT, BODY), "read": (READ, b""), "label": (f"/models/{CENSUS}/labels", labels),
    }  # fmt: skip
    for held in ("infer", "read", "label"):
        token = issuer.token(f"openid {CENSUS}/{held} {RENT}/infer {RENT}/read {RENT}/label")
        for wanted, (path, body) in asked.items():
            answer = ask(target, token, path, body)
            if wanted == held:
                assert answer.status_code == (202 if wanted == "label" else 200), answer.text
            else:
                assert answer.status_code == 403
                assert f"does not hold the scope {CENSUS}/{wanted}" in answer.json()["error"]
    assert ask(target, issuer.token("*/infer")).status_code == 200
    assert ask(target, issuer.token("")).status_code == 403


def test_a_token_opens_nothing_that_asks_for_a_signature(
    target: Target, champions: dict[str, Run], issuer: Issuer
) -> None:
    assert ask(target, issuer.token("*/infer"), output="ApiUrl").status_code == 403


def test_a_caller_beyond_the_quota_is_refused_and_no_other(
    target: Target, champions: dict[str, Run], issuer: Issuer
) -> None:
    """The function counts under its own role in the deployed table; the count is set to the limit's last call."""
    table = target.client("dynamodb")
    quota = next(
        item["PhysicalResourceId"]
        for page in target.client("cloudformation")
        .get_paginator("list_stack_resources")
        .paginate(StackName=target.stack)
        for item in page["StackResourceSummaries"]
        if item["LogicalResourceId"].startswith("ServeQuota")
    )
    who = f"reader-{time.time_ns()}"
    token = issuer.token(f"{CENSUS}/infer {CENSUS}/read", sub=who)
    assert ask(target, token).status_code == 200
    day = int(time.time() // 86_400)
    key: dict[str, Any] = {"caller": {"S": f"token:{who}#{day}"}}
    found = table.get_item(TableName=quota, Key=key, ConsistentRead=True)["Item"]
    assert found["calls"] == {"N": "1"}
    assert int(found["expires"]["N"]) == (day + 2) * 86_400
    table.put_item(TableName=quota, Item={**found, "calls": {"N": str(CALLS_A_DAY - 1)}})
    assert ask(target, token).status_code == 200
    refused = ask(target, token)
    assert refused.status_code == 429
    assert f"has asked {CALLS_A_DAY} times today" in refused.json()["error"]
    assert 0 < int(refused.headers["retry-after"]) <= 86_401
    assert ask(target, token, READ).status_code == 200
    assert ask(target, issuer.token(f"{CENSUS}/infer", sub=f"{who}-2")).status_code == 200
